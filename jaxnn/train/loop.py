"""The host's side of a run: it launches epochs, and fetches what they measured a little later.

The host never waits in the middle: an epoch's results are fetched, all at once, when the next
one is under way.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnn.train.epoch_end import Measured, end_epoch
from jaxnn.train.feed import Feed, Piece
from jaxnn.train.history import EpochRecord
from jaxnn.train.program import Program
from jaxnn.train.skipping import nonfinite_message
from jaxnn.train.state import Skips, TrainState, has_stopped
from jaxnn.train.transfer import copy, fetch

__all__ = ["Loop", "Pending"]


class Pending(NamedTuple):
    """An epoch that was launched and not yet fetched."""

    epoch: int  # epochs done when it is, from 1
    measured: Measured
    pieces: list[Piece]  # the series of its steps


class Loop:
    """Drives the compiled functions, an epoch at a time.

    Args:
      program: the static part.
      state: at the end of epoch `epoch`. It is copied; the loop donates its own.
      train: what the training data comes from.
      val: what the validation data comes from, or None.
      key: root key, of the shuffle.
      epoch: epochs done.
      step: steps done.
      steps_per_call: steps of one compiled call; None: the whole epoch, or of streamed data
        as many as make up some megabytes.
    """

    def __init__(
        self,
        program: Program,
        state: Any,
        train: Feed,
        val: Feed | None,
        key: jax.Array,
        epoch: int = 0,
        step: int = 0,
        steps_per_call: int | None = None,
    ) -> None:
        self.program = program
        if program.placement is not None:
            state, key = program.placement.place(state), program.placement.replicate(key)
        self.state = copy(state)
        self.epoch = epoch
        self.failure: str | None = None  # why the run cannot go on
        self._train, self._val, self._key = train, val, key
        self._step, self._steps_per_call = step, steps_per_call
        self._since = time.perf_counter()

    def launch(self) -> Pending:
        """Start the next epoch on the device, and do not wait for it."""
        self.state, tally, pieces = self._train.epoch(
            self.program, self.state, self._key, self.epoch, self._steps_per_call
        )
        val, sums = (
            (None, None) if self._val is None else self._val.evaluated(self.program, self.state)
        )
        self.state, measured = end_epoch(self.program, self.state, tally, val, sums)
        self.epoch += 1
        return Pending(self.epoch, measured, pieces)

    def collect(self, pending: Pending) -> EpochRecord:
        """Wait for an epoch, and fetch what it measured."""
        measured, pieces = fetch((pending.measured, pending.pieces))
        self._note_failure(measured.stopped, measured.skips)
        steps = {
            name: np.concatenate([piece.series[name][: piece.done] for piece in pieces]).astype(
                float
            )
            for name in pieces[0].series
        }
        values = {name: float(v) for name, v in measured.values.items() if v.ndim == 0}
        arrays = {name: v.astype(float) for name, v in measured.values.items() if v.ndim}
        if "skipped" in steps:
            _leave_out_skipped(steps, values)
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self._step += sum(int(piece.done) for piece in pieces)
        examples = self._train.examples
        timing = {"seconds": seconds, "examples_per_second": examples / seconds}
        return EpochRecord(
            epoch=pending.epoch,
            step=self._step,
            values={**values, **timing},
            steps=steps,
            stopped=bool(measured.stopped),
            arrays=arrays,
        )

    def has_ended(self) -> bool:
        """Whether the state that the loop starts from is that of a run that has ended."""
        skips = self.state.control.skips if isinstance(self.state, TrainState) else None
        stopped, skips = fetch((has_stopped(self.state), skips))
        self._note_failure(stopped, skips)
        return bool(stopped)

    def _note_failure(self, stopped: np.ndarray, skips: Skips | None) -> None:
        if stopped and skips is not None and skips.in_a_row:
            self.failure = nonfinite_message(self.state, skips)


def _leave_out_skipped(steps: dict[str, np.ndarray], values: dict[str, float]) -> None:
    """What was not measured is NaN, and not the 0 that stands in its place on the device."""
    skipped = steps["skipped"] > 0
    for name, series in steps.items():
        if name != "skipped":
            series[skipped] = math.nan
            if skipped.all():
                values[f"train/{name}"] = math.nan
