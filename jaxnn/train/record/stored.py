"""Records as they stand on disk: scalars in a line each, everything else in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.train.record.lines import as_number, read_lines
from jaxnn.train.record.records import EpochRecord, LazyMapping, RecordOrMaker
from jaxnn.train.record.segments import Segment, Segments

__all__ = [
    "columns",
    "consecutive",
    "form",
    "from_disk",
    "memory",
    "records_of",
    "scalars",
]

_RESERVED = ("epoch", "step", "stopped", "members", "crc32")


def scalars(record: EpochRecord) -> dict[str, Any]:
    """What of a record stands in its line; of a population only its epoch.

    Raises:
      ValueError: a value has a name that the line needs for itself.
    """
    if record.members is not None:
        return {"epoch": record.epoch, "step": record.step, "members": len(record.members)}
    if taken := [name for name in _RESERVED if name in record.values]:
        raise ValueError(f"a value of a record must not be called one of {_RESERVED}, got {taken}")
    values = {name: float(value) for name, value in record.values.items()}
    return {
        "epoch": record.epoch,
        "step": record.step,
        **values,
        "stopped": bool(record.stopped),
    }


def columns(records: Sequence[EpochRecord]) -> dict[str, list[np.ndarray]]:
    """What of records of one `form` stands in a segment."""
    found: dict[str, list[np.ndarray]] = {}
    for record in records:
        for name, array in _arrays(record).items():
            found.setdefault(name, []).append(array)
    return found


def form(record: EpochRecord) -> Any:
    """What all records of a segment have in common: their columns with their ranks, and members."""
    members = None if record.members is None else tuple(record.members.tolist())
    return {name: array.ndim for name, array in _arrays(record).items()}, members


def memory(record: EpochRecord) -> int:
    """Bytes of what would stand in a segment."""
    return sum(array.nbytes for array in _arrays(record).values())


def from_disk(segments: Segments, segment: Segment | None, line: Mapping[str, Any]) -> EpochRecord:
    """The record of a line, whose series and arrays are read when they are asked for.

    Args:
      segments: reads them.
      segment: which has the epoch; None where it is not yet written, and then there are none.
      line: what `scalars` made, or what was read of it.
    """
    values = {name: as_number(line[name]) for name in line if name not in _RESERVED}
    if segment is None:
        return EpochRecord(line["epoch"], line["step"], values, {}, line["stopped"])
    row = line["epoch"] - segment.first

    def kind(name: str) -> LazyMapping:
        def read(inner: str) -> np.ndarray:
            return segments.read(segment, f"{name}/{inner}", row)

        return LazyMapping(segment.names(name), read)

    of_epoch = partial(EpochRecord, line["epoch"], line["step"])
    if segment.members is None:
        return of_epoch(values, kind("steps"), line["stopped"], kind("arrays"))
    return of_epoch(
        values=kind("values"),
        steps=kind("steps"),
        stopped=segments.read(segment, "stopped", row),
        arrays=kind("arrays"),
        members=np.array(segment.members, np.int64),
        done=segments.read(segment, "done", row),
    )


def consecutive(path: Path, until: int | None) -> list[dict[str, Any]]:
    """The lines of a history, one an epoch, up to an epoch.

    Raises:
      ValueError: a line is damaged, or an epoch is missing or there twice.
    """
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(read_lines(path), 1):
        if not {"epoch", "step"} <= line.keys() or not {"stopped", "members"} & line.keys():
            raise ValueError(f"line {number} of {path} is not of an epoch, with {list(line)}")
        if until is not None and line["epoch"] > until:
            break
        if lines and line["epoch"] != lines[-1]["epoch"] + 1:
            raise ValueError(
                f"line {number} of {path} must be of epoch {lines[-1]['epoch'] + 1}, "
                f"got {line['epoch']}"
            )
        lines.append(line)
        if line["epoch"] == until:  # what lies behind may be damaged, and is not looked at
            break
    return lines


def records_of(
    segments: Segments, index: list[Segment], lines: list[dict[str, Any]]
) -> tuple[list[RecordOrMaker], bool]:
    """The epochs of these lines, and whether the series of some are not yet written."""
    items: list[RecordOrMaker] = []
    of_epoch = {epoch: s for s in index for epoch in range(s.first, s.last + 1)}
    for line in lines:
        segment = of_epoch.get(line["epoch"])
        if segment is None and "members" in line:
            return items, True
        make = partial(from_disk, segments, segment, line)
        items.append(make if "members" in line else make())
    return items, bool(lines) and lines[-1]["epoch"] not in of_epoch


def _arrays(record: EpochRecord) -> dict[str, np.ndarray]:
    kinds: dict[str, Mapping[str, Any]] = {"steps": record.steps, "arrays": record.arrays}
    own: dict[str, np.ndarray] = {}
    if record.members is not None:
        assert record.done is not None  # where there are members
        kinds["values"] = record.values
        own = {
            "stopped": np.asarray(record.stopped, bool),
            "done": np.asarray(record.done, np.int64),
        }
    for kind, arrays in kinds.items():
        own |= {f"{kind}/{name}": np.asarray(array, float) for name, array in arrays.items()}
    return own
