"""Segments: immutable files with the series and arrays of some epochs in a row.

A segment is an `.npz` archive, so that it opens without this library too:

- `epochs`: (epochs,) int64, and of a population `members`: (members,) int64, the ids of its rows;
- for each column two arrays, `data/NAME` and `shapes/NAME`, as `columns.pack` makes them. The
  columns of a run are `steps/…` and `arrays/…`, those of a population also `values/…`, `stopped`
  and `done`.

`index.jsonl` beside them has a line for each: its file, its epochs, its columns and its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data.readers.npz import read_npz
from jaxnn.train.record.columns import pack, unpack
from jaxnn.train.record.lines import append_line, read_lines, replace_file, sealed

__all__ = ["Columns", "Segment", "Segments", "write_segment"]

_INDEX = "index.jsonl"

Columns = Mapping[str, list[np.ndarray]]  # by name, an array for each epoch


@dataclass(frozen=True)
class Segment:
    """What the index says of a segment."""

    file: str
    first: int  # epoch
    last: int  # epoch
    columns: tuple[str, ...]
    members: tuple[int, ...] | None  # ids; None for a run
    sha256: str

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of the columns of a kind: "steps", "arrays" or "values"."""
        prefix = f"{kind}/"
        return tuple(c.removeprefix(prefix) for c in self.columns if c.startswith(prefix))


class Segments:
    """Reads the segments of a folder; of each column it keeps what it read last.

    Args:
      folder: with the index.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()  # the program may go elsewhere
        self._whole: set[Segment] = set()  # whose checksum was found right
        self._last: dict[str, tuple[Segment, list[np.ndarray]]] = {}

    def index(self) -> list[Segment]:
        """The segments, in the order of their epochs.

        Raises:
          ValueError: the index is missing or damaged, or leaves epochs out.
        """
        path = self._folder / _INDEX
        if not path.exists():
            raise ValueError(f"{path} is missing, which lists the segments of a history")
        found = [_from_fields(path, fields) for fields in read_lines(path)]
        for number, (before, after) in enumerate(itertools.pairwise(found), 2):
            if after.first != before.last + 1:
                raise ValueError(
                    f"line {number} of {path} must begin with epoch {before.last + 1}, "
                    f"got {after.first}"
                )
        return found

    def begin(self, kept: list[Segment]) -> None:
        """Write the index anew, and remove the segments that it no longer lists."""
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / _INDEX, "".join(map(_line, kept)))
        listed = {segment.file for segment in kept}
        for pattern in ("*.npz", "*.npz.tmp"):
            for path in self._folder.glob(pattern):
                if path.name not in listed:
                    path.unlink()

    def read(self, segment: Segment, column: str, row: int) -> np.ndarray:
        """The array of one epoch.

        Args:
          segment: of the index.
          column: one of its columns.
          row: the number of the epoch in the segment, from 0.

        Raises:
          ValueError: the segment is missing, or not what was written.
        """
        last = self._last.get(column)
        if last is None or last[0] != segment:
            last = self._last[column] = (segment, self._column(segment, column))
        return last[1][row].copy()

    def _column(self, segment: Segment, column: str) -> list[np.ndarray]:
        names = [f"data/{column}", f"shapes/{column}"]
        found = self._arrays(segment, names)
        try:
            rows = unpack(*(found[name] for name in names))
        except ValueError as error:
            raise ValueError(f"{self._folder / segment.file}: {column}: {error}") from error
        if len(rows) != segment.last - segment.first + 1:
            raise ValueError(
                f"{self._folder / segment.file} must have {column} of epochs {segment.first} to "
                f"{segment.last}, got {len(rows)} arrays"
            )
        return rows

    def _arrays(self, segment: Segment, names: list[str]) -> dict[str, np.ndarray]:
        path = self._folder / segment.file
        if not path.exists():
            raise ValueError(f"{path} is missing, the segment of {_epochs(segment)}")
        if segment not in self._whole:
            with path.open("rb") as file:
                there = hashlib.file_digest(file, "sha256").hexdigest()
            if there != segment.sha256:
                raise ValueError(
                    f"{path} is damaged or another file: the segment of {_epochs(segment)} has "
                    f"SHA-256 {segment.sha256}, and this one {there}"
                )
            self._whole.add(segment)
        return read_npz(path, names)


def write_segment(
    folder: Path, first: int, columns: Columns, count: int, members: np.ndarray | None
) -> Segment:
    """Write a segment, and then its line in the index; both are on the disk when this returns.

    Args:
      folder: of the segments.
      first: the first epoch.
      columns: an array for each epoch, by name; of a column all have one rank.
      count: how many epochs.
      members: ids, (members,) int64; None for a run.
    """
    last = first + count - 1
    arrays: dict[str, Any] = {"epochs": np.arange(first, last + 1)}
    if members is not None:
        arrays["members"] = members
    for name, rows in columns.items():
        arrays[f"data/{name}"], arrays[f"shapes/{name}"] = pack(rows)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    segment = Segment(
        file=f"{first:06d}-{last:06d}.npz",
        first=first,
        last=last,
        columns=tuple(columns),
        members=None if members is None else tuple(members.tolist()),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    replace_file(folder / segment.file, content)
    append_line(folder / _INDEX, _line(segment), lasting=True)
    return segment


def _epochs(segment: Segment) -> str:
    return f"epochs {segment.first} to {segment.last}"


def _line(segment: Segment) -> str:
    return sealed(vars(segment))


def _from_fields(path: Path, fields: dict[str, Any]) -> Segment:
    if fields.keys() != Segment.__annotations__.keys():
        raise ValueError(f"{path} lists segments of another version, with {list(fields)}")
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    segment = Segment(**{**fields, **lists})
    if Path(segment.file).name != segment.file:
        raise ValueError(f"{path} must list files beside it, got {segment.file!r}")
    return segment
