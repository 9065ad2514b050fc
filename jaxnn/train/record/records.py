"""What an epoch or a chunk measured, of a run or of the members of a population."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from jaxnn.train.record.view.glance import joined, short

__all__ = ["ChunkRecord", "EpochRecord", "Epochs", "LazyMapping", "RecordOrMaker", "member_row"]


class LazyMapping(Mapping[str, Any]):
    """A mapping whose values are made when they are asked for.

    Args:
      names: its keys.
      read: `name -> value`.

    >>> squares = LazyMapping(["2", "3"], lambda name: int(name) ** 2)
    >>> dict(squares), squares.get("4")
    ({'2': 4, '3': 9}, None)
    """

    def __init__(self, names: Collection[str], read: Callable[[str], Any]) -> None:
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"{name!r} is not among {joined(list(self._names))}")
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({joined(list(self._names))})"


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch measured, of a run or of the members of a population.

    Of a population each number has an axis of members before its own axes. A member that
    stopped within the epoch has NaN behind its last step, and one that had stopped before it
    has NaN everywhere.

    Attributes:
      epoch: this epoch's number, from 1.
      step: steps done at its end; of a population, by the members that did most.
      values: scalars by name: "train/loss", "val/accuracy", "seconds", …; of a population
        (members,) float64.
      steps: float64 series by name over the epoch's steps: "loss", …; (steps,) or
        (members, steps).
      stopped: whether a controller ended the run here or earlier; of a population (members,)
        bool.
      arrays: float64 arrays by name, of what is no scalar: "val/confusion", …
      members: (members,) int64, the members' ids; None for a run.
      done: (members,) int64, the steps of this epoch that each member took, 0 where it had
        stopped before; None for a run.

    >>> record = EpochRecord(
    ...     epoch=1,
    ...     step=2,
    ...     values={"train/loss": np.array([0.5, 0.7])},
    ...     steps={"loss": np.array([[0.6, 0.4], [0.7, np.nan]])},
    ...     stopped=np.array([False, True]),
    ...     members=np.array([0, 1]),
    ...     done=np.array([2, 1]),
    ... )
    >>> alone = record.member(1)
    >>> alone.step, alone.values["train/loss"], alone.steps["loss"], alone.stopped
    (1, 0.7, array([0.7]), True)
    """

    epoch: int
    step: int
    values: Mapping[str, Any]
    steps: Mapping[str, np.ndarray]
    stopped: Any = False
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    members: np.ndarray | None = None
    done: np.ndarray | None = None

    def __repr__(self) -> str:
        parts = [f"EpochRecord {self.epoch}, step {self.step}"]
        if self.members is None:
            parts.append(joined([f"{n} {short(value)}" for n, value in self.values.items()]))
        else:  # whose values may lie on disk
            parts += [f"{len(self.members):,} members", joined(list(self.values))]
        parts += [
            f"{kind} of {joined(list(mapping))}"
            for kind, mapping in (("steps", self.steps), ("arrays", self.arrays))
            if mapping
        ]
        return "; ".join(parts)

    def member(self, member: int) -> EpochRecord:
        """The record of one member, as its run alone would have it.

        Args:
          member: one of `members`.

        Raises:
          ValueError: no such member, or one that had stopped before this epoch.
        """
        row = member_row(self.members, member)
        assert self.done is not None  # where there are members
        done = int(self.done[row])
        if not done:
            raise ValueError(f"member {member} had stopped before epoch {self.epoch}")
        # The members that still train are at the same step, so the earlier steps are shared.
        before = self.step - int(self.done.max())
        return EpochRecord(
            epoch=self.epoch,
            step=before + done,
            values=_each(self.values, lambda values: float(values[row])),
            steps=_each(self.steps, lambda series: series[row, :done].copy()),
            stopped=bool(self.stopped[row]),
            arrays=_each(self.arrays, lambda arrays: arrays[row].copy()),
        )


@dataclass(frozen=True)
class ChunkRecord:
    """What the steps of one compiled call measured, of a run or of the members of a population.

    Attributes:
      epoch: the number of its epoch, from 1.
      start: steps of the epoch that were done before it.
      steps: float64 series by name over the steps of the chunk; (steps,), or of a population
        (members, steps) with NaN behind the last step of a member that has stopped.
      members: (members,) int64, the members' ids; None for a run.
      done: (members,) int64, the steps of this chunk that each member took; None for a run.

    >>> chunk = ChunkRecord(epoch=1, start=50, steps={"loss": np.array([0.6, 0.4])})
    >>> for step, loss in enumerate(chunk.steps["loss"], chunk.start + 1):
    ...     print(f"epoch {chunk.epoch}, step {step}: loss {loss}")
    epoch 1, step 51: loss 0.6
    epoch 1, step 52: loss 0.4
    """

    epoch: int
    start: int
    steps: Mapping[str, np.ndarray]
    members: np.ndarray | None = None
    done: np.ndarray | None = None

    def __repr__(self) -> str:
        members = "" if self.members is None else f"; {len(self.members):,} members"
        count = max((np.shape(series)[-1] for series in self.steps.values()), default=0)
        return (
            f"ChunkRecord of epoch {self.epoch}, steps {self.start + 1} to {self.start + count}: "
            f"{joined(list(self.steps))}{members}"
        )

    def member(self, member: int) -> ChunkRecord:
        """The record of one member; its series are empty where it had stopped before.

        Args:
          member: one of `members`.

        Raises:
          ValueError: no such member.
        """
        row = member_row(self.members, member)
        assert self.done is not None  # where there are members
        done = int(self.done[row])
        steps = {name: series[row, :done].copy() for name, series in self.steps.items()}
        return ChunkRecord(self.epoch, self.start, steps)


RecordOrMaker = EpochRecord | Callable[[], EpochRecord]


class Epochs(Sequence[EpochRecord]):
    """Records in the order of their epochs; some are made only when they are asked for."""

    def __init__(self, items: Iterable[RecordOrMaker] = ()) -> None:
        self._items = list(items)

    @overload
    def __getitem__(self, index: int) -> EpochRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[EpochRecord]: ...
    def __getitem__(self, index: int | slice) -> EpochRecord | list[EpochRecord]:
        if isinstance(index, slice):
            return [_made(item) for item in self._items[index]]
        return _made(self._items[index])

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{len(self)} records"

    def append(self, record: EpochRecord) -> None:
        """Add the record of the next epoch."""
        self._items.append(record)

    def replace(self, index: int, item: RecordOrMaker) -> None:
        """Put the same record, or what makes it, in place of one."""
        self._items[index] = item


def member_row(members: np.ndarray | None, member: int) -> int:
    """The row of a member's id.

    Raises:
      ValueError: there is no such member.
    """
    rows = [] if members is None else np.flatnonzero(members == member)
    if len(rows) != 1:
        there = "a run, which has none" if members is None else f"one of {members.tolist()}"
        raise ValueError(f"member must be an id of the record's members ({there}), got {member!r}")
    return int(rows[0])


def _each(mapping: Mapping[str, Any], function: Callable[[Any], Any]) -> Mapping[str, Any]:
    return LazyMapping(mapping.keys(), lambda name: function(mapping[name]))


def _made(item: RecordOrMaker) -> EpochRecord:
    return item if isinstance(item, EpochRecord) else item()
