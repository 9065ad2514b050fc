"""What was fetched of an epoch, as records."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from jaxnn.train.record.history import ChunkRecord, EpochRecord

__all__ = ["Piece", "chunk_record", "epoch_record"]


class Piece(NamedTuple):
    """The series of some steps in a row; of a population each leaf is (cohorts, width, …)."""

    done: Any  # () int32: how many of them were run
    series: dict[str, Any]  # metric -> (at least done,)


def epoch_record(
    epoch: int,
    step: int,
    values: dict[str, np.ndarray],
    pieces: list[Piece],
    stopped: np.ndarray,
    timing: dict[str, float],
    members: int | None,
) -> EpochRecord:
    """The record of an epoch.

    Args:
      epoch: its number, from 1.
      step: steps done at its end.
      values: scalars and arrays by name; of a population with (cohorts, width) before.
      pieces: the series of its steps.
      stopped: whether the run, or which member, ended here.
      timing: seconds and rates, of all members together.
      members: of a population, how many; None for a single run.
    """
    if members is not None:
        raise ValueError("records of populations are made by member_records")
    steps = {
        name: np.concatenate([piece.series[name][: piece.done] for piece in pieces]).astype(float)
        for name in pieces[0].series
    }
    scalars = {name: float(v) for name, v in values.items() if v.ndim == 0}
    arrays = {name: v.astype(float) for name, v in values.items() if v.ndim}
    if "skipped" in steps:
        _leave_out_skipped(steps, scalars)
    return EpochRecord(
        epoch=epoch,
        step=step,
        values={**scalars, **timing},
        steps=steps,
        stopped=bool(stopped),
        arrays=arrays,
    )


def chunk_record(epoch: int, start: int, measured: tuple[Any, dict[str, Any]]) -> ChunkRecord:
    """The record of a chunk.

    Args:
      epoch: the number of its epoch, from 1.
      start: the number of its first step in the series.
      measured: steps of the series that were run, and the series.
    """
    done, series = measured
    steps = {name: values[start : int(done)].astype(float) for name, values in series.items()}
    return ChunkRecord(epoch=epoch, start=start, steps=steps)


def _leave_out_skipped(steps: dict[str, np.ndarray], values: dict[str, float]) -> None:
    """Write NaN where nothing was measured, in place of the 0 that the device has there."""
    skipped = steps["skipped"] > 0
    for name, series in steps.items():
        if name != "skipped":
            series[skipped] = math.nan
            if skipped.all():
                values[f"train/{name}"] = math.nan
