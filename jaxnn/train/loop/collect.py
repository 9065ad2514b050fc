"""What was fetched of an epoch or a chunk, as records."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxnn.train.loop.roster import Roster
from jaxnn.train.record.records import ChunkRecord, EpochRecord

__all__ = ["Evaluation", "Piece", "chunk_record", "epoch_record"]


class Piece(NamedTuple):
    """The series of some steps in a row; of a population each leaf is (cohorts, width, …)."""

    done: Any  # () int32: how many of them were run
    series: dict[str, Any]  # metric -> (at least done,)


class Evaluation(NamedTuple):
    """What an evaluation within an epoch measured on validation data."""

    step: int  # steps of the epoch before it
    values: dict[str, Any]  # by name; of a population (cohorts, width, …)


def epoch_record(
    epoch: int,
    step: int,
    values: dict[str, np.ndarray],
    pieces: list[Piece],
    stopped: np.ndarray,
    timing: dict[str, float],
    roster: Roster | None,
    evaluations: list[Evaluation] | None = None,
) -> EpochRecord:
    """The record of an epoch.

    Args:
      epoch: its number, from 1.
      step: steps done before it.
      values: scalars and arrays by name; of a population with (cohorts, width) before.
      pieces: the series of its steps.
      stopped: whether the run, or which member, has ended.
      timing: seconds and rates, of all members together.
      roster: of a population, which members lie where; None for a single run.
      evaluations: those within the epoch, the last of which are the epoch's values; None: the
        run is evaluated at the end of epochs.
    """
    if evaluations:
        values = {**values, **evaluations[-1].values}
    if roster is not None:
        return _of_members(epoch, step, values, pieces, stopped, timing, roster, evaluations)
    done, steps = _joined(pieces)
    steps |= _evaluated(evaluations or [], int(done), ())
    scalars = {name: float(v) for name, v in values.items() if v.ndim == 0}
    arrays = {name: v.astype(float) for name, v in values.items() if v.ndim}
    for name, nothing in _unmeasured(steps, done).items():
        if nothing and name in scalars:
            scalars[name] = math.nan
    return EpochRecord(
        epoch=epoch,
        step=step + int(done),
        values={**scalars, **timing},
        steps=steps,
        stopped=bool(stopped),
        arrays=arrays,
    )


def _of_members(
    epoch: int,
    step: int,
    values: dict[str, np.ndarray],
    pieces: list[Piece],
    stopped: np.ndarray,
    timing: dict[str, float],
    roster: Roster,
    evaluations: list[Evaluation] | None,
) -> EpochRecord:
    count = len(roster.ids)
    done, steps = _joined([_of_members_alone(piece, roster) for piece in pieces])
    of_members = [
        Evaluation(step, {name: roster.of(value) for name, value in values.items()})
        for step, values in evaluations or []
    ]
    steps |= _evaluated(of_members, int(done.max()), (count,))
    for series in steps.values():
        series[np.arange(series.shape[-1]) >= done[:, None]] = math.nan
    own = {name: roster.of(value).astype(float) for name, value in values.items()}
    absent = done == 0  # nothing of them was measured: they had stopped before
    for value in own.values():
        value[absent] = math.nan
    for name, nothing in _unmeasured(steps, done).items():
        if name in own and own[name].ndim == 1:
            own[name][nothing] = math.nan
    shared = {name: np.full(count, value) for name, value in timing.items()}
    return EpochRecord(
        epoch=epoch,
        step=step + int(done.max()),
        values={**{name: v for name, v in own.items() if v.ndim == 1}, **shared},
        steps=steps,
        stopped=roster.of(stopped).astype(bool),
        arrays={name: v for name, v in own.items() if v.ndim > 1},
        members=roster.ids,
        done=done.astype(np.int64),
    )


def chunk_record(
    epoch: int, before: int, first: int, measured: Piece, roster: Roster | None
) -> ChunkRecord | None:
    """The record of a chunk; None where no step of it was run, as all had stopped.

    Args:
      epoch: the number of its epoch, from 1.
      before: steps of the epoch that were launched before it.
      first: the number of its first step in the series.
      measured: the series, with the steps of the chunk at their end.
      roster: as in `epoch_record`.
    """
    if roster is not None:
        measured = _of_members_alone(measured, roster)
    series = {name: values[..., first:] for name, values in measured.series.items()}
    done, steps = _joined([Piece(np.maximum(measured.done - first, 0), series)])
    if not np.any(done):
        return None
    if roster is None:
        return ChunkRecord(epoch, before, steps)
    return ChunkRecord(epoch, before, steps, roster.ids, done)


def _joined(pieces: list[Piece]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Steps done, and their series: (steps,), or (members, steps) with NaN behind the done ones."""
    done = np.asarray(np.sum([piece.done for piece in pieces], axis=0, dtype=np.int64))
    steps = {
        # A member that still trains has done as many steps as any, so the others are behind.
        name: np.concatenate(
            [piece.series[name][..., : int(np.max(piece.done))] for piece in pieces], axis=-1
        ).astype(float)
        for name in pieces[0].series
    }
    for series in steps.values():
        series[np.arange(series.shape[-1]) >= done[..., None]] = math.nan
    if "skipped" in steps:  # NaN where nothing was measured, in place of the 0 on the device
        skipped = steps["skipped"] > 0
        for name, series in steps.items():
            if name != "skipped":
                series[skipped] = math.nan
    return done, steps


def _evaluated(
    evaluations: list[Evaluation], steps: int, lead: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Scalars of evaluations as series of steps, NaN at the steps that none follows."""
    series: dict[str, np.ndarray] = {}
    for step, values in evaluations:
        if step > steps:  # launched before it was known that the run had stopped
            continue
        for name, value in values.items():
            if value.ndim == len(lead):
                empty = np.full((*lead, steps), math.nan)
                series.setdefault(name, empty)[..., step - 1] = value
    return series


def _unmeasured(steps: dict[str, np.ndarray], done: np.ndarray) -> dict[str, np.ndarray]:
    """For each value of the epoch that skipping concerns, whether all of its steps were skipped."""
    if "skipped" not in steps:
        return {}
    nothing = np.nansum(steps["skipped"] > 0, axis=-1) == done
    return {f"train/{name}": nothing for name in steps if name != "skipped"}


def _of_members_alone(piece: Piece, roster: Roster) -> Piece:
    """A piece with one axis of members, without padding."""
    series = {name: roster.of(values) for name, values in piece.series.items()}
    return Piece(roster.of(piece.done), series)
