"""The history of a run or of a population, in memory or on disk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.train.record.lines import read_lines
from jaxnn.train.record.records import EpochRecord, Epochs, RecordOrMaker, member_row
from jaxnn.train.record.segments import Segment, Segments
from jaxnn.train.record.stored import from_disk

__all__ = ["LINES", "SEGMENTS", "History"]

LINES, SEGMENTS = "history.jsonl", "segments"  # in a run's folder


class History:
    """What a run measured, or the members of a population, epoch by epoch.

    Args:
      epochs: records in their order.

    Attributes:
      epochs: the records, as a sequence. `record.steps` and `record.arrays` of what is on disk
        are read when they are asked for.

    >>> history = History([EpochRecord(1, 2, {"train/loss": 0.5}, {"loss": np.ones(2)})])
    >>> history.series("train/loss"), history.step_series("loss")
    (array([0.5]), array([1., 1.]))
    """

    def __init__(self, epochs: Iterable[RecordOrMaker] = (), *, partly: bool = False) -> None:
        self.epochs = Epochs(epochs)
        self._partly = partly  # whether there are series that are not yet on disk

    def __repr__(self) -> str:
        return f"History of {len(self.epochs)} epochs: {self.names}"

    @property
    def members(self) -> np.ndarray | None:
        """The ids of all members, (members,) int64, in order of appearance; None for a run."""
        found: dict[int, None] = {}
        last = None
        for record in self.epochs:
            if record.members is None:
                return None
            if last is None or not np.array_equal(last, record.members):
                found |= dict.fromkeys(record.members.tolist())
                last = record.members
        return np.array(list(found), np.int64) if found else None

    @property
    def names(self) -> list[str]:
        """Every name that `series` knows, in the order of appearance."""
        return self._names(lambda record: record.values)

    def series(self, name: str) -> np.ndarray:
        """A value over epochs.

        Args:
          name: one of `names`.

        Returns:
          (epochs,) float64, or of a population (epochs, members); NaN where an epoch, or a
          member in it, has none.

        Raises:
          ValueError: no epoch has a value of that name.
        """
        return self._stacked(name, lambda record: record.values)

    def array_series(self, name: str) -> np.ndarray:
        """An array over epochs, such as a confusion matrix.

        Args:
          name: of an array.

        Returns:
          (epochs, …) float64, or of a population (epochs, members, …); NaN where an epoch, or a
          member in it, has none.

        Raises:
          ValueError: no epoch has an array of that name, or their shapes differ.
        """
        return self._stacked(name, lambda record: record.arrays)

    def step_series(self, name: str) -> np.ndarray:
        """A metric over all steps.

        Args:
          name: of a series of steps, such as "loss".

        Returns:
          (steps,) float64, or of a population (members, steps) with NaN behind the last step of
          each. Epochs without such a series, and of a history on disk those not yet written,
          have no steps in it.

        Raises:
          ValueError: no epoch has a series of that name.
        """
        self._require(name, lambda record: record.steps)
        ids = self.members
        found = [np.zeros((0,) if ids is None else (len(ids), 0))]
        for record in self.epochs:
            if name in record.steps:
                series = record.steps[name]
                rows = np.full((*found[0].shape[:-1], series.shape[-1]), math.nan)
                rows[_places(ids, record)] = series
                found.append(rows)
        return np.concatenate(found, axis=-1)

    def member(self, member: int) -> History:
        """The history of one member, as its run alone would have it.

        Args:
          member: one of `members`.

        Raises:
          ValueError: no such member.
        """
        member_row(self.members, member)
        items = []
        for index, record in enumerate(self.epochs):
            assert record.members is not None and record.done is not None  # of a population
            if record.done[record.members == member].any():
                items.append(partial(_of_member, self.epochs, index, member))
        return History(items, partly=self._partly)

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, until: int | None = None) -> History:
        """The history in a run's folder, also while the run goes on.

        The scalars are read at once, series and arrays when they are asked for. What the last
        epochs measured is there as scalars first, and as series once the run has written them;
        epochs of a population are there once all of them is written. A line that a killed
        process left half written ends the history.

        Args:
          path: the folder, or `history.jsonl` in it.
          until: the last epoch to read; None: all.

        Raises:
          FileNotFoundError: no history there.
          ValueError: a line, the list of segments, or, when it is read, a segment is damaged or
            missing.
        """
        path = Path(path)
        path = path / LINES if path.is_dir() else path
        lines = _consecutive(path, until)
        # Lines first: of epochs written in between, the segments are known and the lines not.
        segments = Segments(path.parent / SEGMENTS)
        index = segments.index()
        if index and lines and index[0].first != lines[0]["epoch"]:
            raise ValueError(
                f"{path} must begin with epoch {index[0].first}, as its segments do, "
                f"got {lines[0]['epoch']}"
            )
        items, partly = _items(segments, index, lines)
        return cls(items, partly=partly)

    def _names(self, part: Callable[[EpochRecord], Mapping[str, Any]]) -> list[str]:
        return list(dict.fromkeys(name for record in self.epochs for name in part(record)))

    def _require(self, name: str, part: Callable[[EpochRecord], Mapping[str, Any]]) -> None:
        known = self._names(part)
        nothing_yet = not known and (self._partly or not self.epochs)
        if name not in known and not nothing_yet:
            raise ValueError(f"name must be one of {known}, got {name!r}")

    def _stacked(self, name: str, part: Callable[[EpochRecord], Mapping[str, Any]]) -> np.ndarray:
        """Arrays over epochs, NaN where there is none."""
        self._require(name, part)
        ids = self.members
        found = [(number, record) for number, record in enumerate(self.epochs)]
        there = {n: np.asarray(part(r)[name], float) for n, r in found if name in part(r)}
        shapes = {array.shape[0 if ids is None else 1 :] for array in there.values()} or {()}
        if len(shapes) > 1:
            raise ValueError(
                f"name must be of arrays of one shape, got {name!r} with {sorted(shapes)}: "
                "`arrays` of each record has them"
            )
        lead = (len(self.epochs),) if ids is None else (len(self.epochs), len(ids))
        result = np.full((*lead, *shapes.pop()), math.nan)
        for number, record in found:
            if number in there:
                result[number, _places(ids, record)] = there[number]
        return result


def _places(ids: np.ndarray | None, record: EpochRecord) -> Any:
    """Where the rows of a record belong among all members."""
    if ids is None or record.members is None or np.array_equal(ids, record.members):
        return ...
    return [int(np.flatnonzero(ids == member)[0]) for member in record.members]


def _of_member(epochs: Epochs, index: int, member: int) -> EpochRecord:
    return epochs[index].member(member)


def _consecutive(path: Path, until: int | None) -> list[dict[str, Any]]:
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


def _items(
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
