"""The history of a run or of a population, in memory or on disk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnn.arguments import check_count, check_path, check_text
from jaxnn.train.record.records import EpochRecord, Epochs, RecordOrMaker, member_row
from jaxnn.train.record.segments import Segments
from jaxnn.train.record.stored import consecutive, records_of
from jaxnn.train.record.view.frames import figure_of, frame_of
from jaxnn.train.record.view.glance import curves, joined, values_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        self.epochs = Epochs(_records(epochs))
        self._partly = partly  # whether there are series that are not yet on disk

    def __repr__(self) -> str:
        return f"History of {len(self.epochs):,} epochs: {joined(self.names)}"

    def _repr_html_(self) -> str:
        """The loss over epochs and the last values, for a notebook."""
        if not self.epochs:
            return "<p>no epoch was completed</p>"
        losses = [name for name in ("train/loss", "val/loss") if name in self.names]
        last = self.epochs[-1]
        table = "" if last.members is not None else values_table(last.values)
        return curves({name: self.series(name) for name in losses}) + table

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
        # A line has its values at once, so none is still to be written.
        return self._stacked(name, lambda record: record.values, awaited=False)

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
        return self._stacked(name, lambda record: record.arrays, awaited=self._partly)

    def step_series(self, name: str) -> np.ndarray:
        """A metric over all steps.

        Args:
          name: of a series of steps, such as "loss".

        Returns:
          (steps,) float64, or of a population (members, steps) with NaN behind the last step of
          each. It is NaN over epochs that have other series only. Epochs without any, and of a
          history on disk those not yet written, have no steps in it.

        Raises:
          ValueError: no epoch has a series of that name.
        """
        self._require(name, lambda record: record.steps, awaited=self._partly)
        ids = self.members
        found = [np.zeros((0,) if ids is None else (len(ids), 0))]
        for record in self.epochs:
            if record.steps:
                any_name = name if name in record.steps else next(iter(record.steps))
                series = record.steps[any_name]
                rows = np.full((*found[0].shape[:-1], series.shape[-1]), math.nan)
                if name in record.steps:
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

    def to_pandas(self) -> Any:
        """The values of all epochs as a `pandas.DataFrame`.

        Returns:
          A row for each epoch, with the number of steps done at its end and a column for each of
          `names`; the index is "epoch", and of a population ("epoch", "member"). NaN where an
          epoch, or a member in it, has no such value.

        Raises:
          ImportError: pandas is not installed.
        """
        series = {name: self.series(name) for name in self.names}
        return frame_of(self.epochs, series, self.members)

    def plot(self, names: str | Sequence[str] | None = None) -> Figure:
        """Draw values over epochs, training and validation of one metric in one panel.

        `jaxnn.report` has the figures with the loss of every step and the generalization gap.

        Args:
          names: one or several of `names`, such as "val/accuracy"; None: all metrics of training
            and validation that are scalars.

        Returns:
          A `matplotlib.figure.Figure`, which a notebook shows as a picture; of a population with
          a line for each member.

        Raises:
          ImportError: matplotlib is not installed (`pip install "jaxnn[report]"`).
          ValueError: no epoch has a value of one of the names.
        """
        if names is None:
            names = [name for name in self.names if name.startswith(("train/", "val/"))]
        names = [names] if isinstance(names, str) else names
        return figure_of(self.epochs, {name: self.series(name) for name in names})

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
        path = check_path("path", path)
        until = None if until is None else check_count("until", until)
        path = path / LINES if path.is_dir() else path
        lines = consecutive(path, until)
        # Lines first: of epochs written in between, the segments are known and the lines not.
        segments = Segments(path.parent / SEGMENTS)
        index = segments.index()
        if index and lines and index[0].first != lines[0]["epoch"]:
            raise ValueError(
                f"{path} must begin with epoch {index[0].first}, as its segments do, "
                f"got {lines[0]['epoch']}"
            )
        items, partly = records_of(segments, index, lines)
        return cls(items, partly=partly)

    def _names(self, part: Callable[[EpochRecord], Mapping[str, Any]]) -> list[str]:
        return list(dict.fromkeys(name for record in self.epochs for name in part(record)))

    def _require(
        self, name: str, part: Callable[[EpochRecord], Mapping[str, Any]], *, awaited: bool
    ) -> None:
        check_text("name", name)
        known = self._names(part)
        nothing_yet = not known and (awaited or not self.epochs)
        if name not in known and not nothing_yet:
            raise ValueError(f"name must be one of {known}, got {name!r}")

    def _stacked(
        self, name: str, part: Callable[[EpochRecord], Mapping[str, Any]], *, awaited: bool
    ) -> np.ndarray:
        """Arrays over epochs, NaN where there is none."""
        self._require(name, part, awaited=awaited)
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


def _records(given: Any) -> list[Any]:
    is_sequence = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
    if not is_sequence and not isinstance(given, Iterator):
        raise TypeError(f"epochs must be a list of records, got {given!r}")
    items = list(given)
    for item in items:
        if not callable(item) and not hasattr(item, "epoch"):
            raise TypeError(f"epochs must hold records of epochs, got {item!r}")
    return items


def _places(ids: np.ndarray | None, record: EpochRecord) -> Any:
    """Where the rows of a record belong among all members."""
    if ids is None or record.members is None or np.array_equal(ids, record.members):
        return ...
    return [int(np.flatnonzero(ids == member)[0]) for member in record.members]


def _of_member(epochs: Epochs, index: int, member: int) -> EpochRecord:
    return epochs[index].member(member)
