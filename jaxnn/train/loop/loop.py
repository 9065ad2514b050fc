"""The host's side of a run: it launches chunks, and fetches what they measured a little later.

The host never waits in the middle: an epoch's results are fetched, all at once, when the next
one is under way, and what a chunk measured is shown when the next chunk is under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnn.train.devices.transfer import copy, fetch
from jaxnn.train.loop.cadence import Cadence
from jaxnn.train.loop.chunk import train_chunk, train_rows
from jaxnn.train.loop.collect import Evaluation, Piece, chunk_record, epoch_record
from jaxnn.train.loop.epoch_end import Measured, end_epoch, evaluate_more, evaluate_within
from jaxnn.train.loop.feed.ahead import AHEAD
from jaxnn.train.loop.feed.batching import DataChunk
from jaxnn.train.loop.feed.source import OnDevice, Source
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.roster import Roster
from jaxnn.train.loop.tally import Tally, next_series, start_tally, with_probes
from jaxnn.train.record.records import ChunkRecord, EpochRecord
from jaxnn.train.step.skipping import nonfinite_message
from jaxnn.train.step.state import Skips, TrainState

__all__ = ["Loop", "Pending"]


class Pending(NamedTuple):
    """An epoch that was launched and not yet fetched."""

    epoch: int  # this epoch's number, from 1
    measured: Measured
    pieces: list[Piece]  # the series of its steps
    evaluations: list[Evaluation]  # within it
    roster: Roster | None  # the members that train in it


class Loop:
    """Drives the compiled functions, an epoch at a time.

    Args:
      program: the static part.
      state: at the end of epoch `epoch`. It is copied; the loop donates its own. Of a
        population the members' leaves are (cohorts, width, …).
      train: where the training data comes from.
      val: where the validation data comes from, or None.
      key: root key, of the shuffle.
      epoch: epochs done.
      step: steps done.
      steps_per_call: steps of a chunk; None: the whole epoch, or of streamed data as many as
        make up some megabytes.
      on_chunk: told what each chunk measured, one chunk late; None: nobody asks.
      roster: of a population, the members that train and where they lie.
      cadence: how often the run is evaluated; None: at the end of each epoch.
    """

    def __init__(
        self,
        program: Program,
        state: TrainState,
        train: Source,
        val: Source | None,
        key: jax.Array,
        epoch: int = 0,
        step: int = 0,
        steps_per_call: int | None = None,
        on_chunk: Callable[[ChunkRecord], None] | None = None,
        roster: Roster | None = None,
        cadence: Cadence | None = None,
    ) -> None:
        self.program = program
        if program.placement is not None:
            state, key = program.placement.place(state), program.placement.replicate(key)
        self.state = copy(state)
        self.epoch = epoch
        self.failure: str | None = None  # why the run cannot go on
        self._train, self._val, self.key = train, val, key
        self._step, self._steps_per_call = step, steps_per_call
        self._launched = step  # steps of the run that were launched
        self._cadence = Cadence() if cadence is None else cadence
        self._on_chunk, self._unseen = on_chunk, None
        self.roster = roster
        self._empty: Tally | None = None  # for the next epoch, with series of `_capacity` steps
        self._capacity = 0
        self._since = time.perf_counter()

    def launch(self) -> Pending:
        """Start the next epoch on the device, and do not wait for it."""
        tally, pieces, evaluations, capacity = None, [], [], 0
        before = self._launched
        for chunk in self._train.chunks(self.key, self.epoch, self._steps_per_call):
            if tally is None:
                tally = self._empty_tally(chunk)
            elif chunk.start == 0:
                pieces.append(_piece(tally))
                tally = next_series(tally)
            for part, evaluates in self._cadence.cut(chunk, self._launched):
                tally = self._run(tally, part)
                self._show(tally, part, self._launched - before)
                self._launched += part.steps
                if evaluates:
                    values = self._evaluate(tally)
                    evaluations.append(Evaluation(self._launched - before, values))
            capacity = chunk.capacity
            if len(pieces) > AHEAD:  # or the data of a whole epoch would pile up on the device
                jax.block_until_ready(pieces[-1 - AHEAD].done)
        assert tally is not None  # a source has at least one chunk
        pieces.append(Piece(tally.done, tally.series))
        evaluates = self._cadence.at_end_of(self.epoch + 1)
        val, sums = self._validation() if evaluates else (None, None)
        self.state, measured, self._empty = end_epoch(
            self.program, self.state, tally, val, sums, self._live, evaluates
        )
        self._capacity = capacity
        self.epoch += 1
        return Pending(self.epoch, measured, pieces, evaluations, self.roster)

    def collect(self, pending: Pending) -> EpochRecord:
        """Wait for an epoch, and fetch what it measured."""
        measured, pieces, evaluations = fetch(pending[1:4])
        self._note_failure(measured.stopped, measured.skips)
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        timing = {"seconds": seconds, "examples_per_second": self._train.examples / seconds}
        record = epoch_record(
            pending.epoch,
            self._step,
            measured.values,
            pieces,
            measured.stopped,
            timing,
            pending.roster,
            evaluations if self._cadence.steps is not None else None,
        )
        self._step = record.step
        return record

    def show_last_chunk(self) -> None:
        """Tell `on_chunk` of the chunk that was launched last."""
        if self._unseen is not None:
            unseen, self._unseen = self._unseen, None
            assert self._on_chunk is not None  # or nothing is kept
            epoch, before, first, piece, roster = unseen
            if record := chunk_record(epoch, before, first, fetch(piece), roster):
                self._on_chunk(record)

    def rearrange(self, state: TrainState, roster: Roster) -> None:
        """Go on with other members, or members elsewhere, when no epoch is under way."""
        self.state, self.roster = state, roster

    def has_ended(self) -> bool:
        """Whether the state that the loop starts from is that of a run that has ended."""
        stopped, skips = fetch((self.state.control.stop, self.state.control.skips))
        self._note_failure(stopped, skips)
        return bool(stopped.all())

    def _empty_tally(self, chunk: DataChunk) -> Tally:
        """The tally at the start of an epoch: the one that the epoch before left, if it fits."""
        empty, self._empty = self._empty, None
        if empty is None or self._capacity != chunk.capacity:
            return start_tally(self.program, self.state, chunk.data, chunk.capacity)
        return with_probes(self.program, empty, self.state, chunk.data)

    def _run(self, tally: Tally, chunk: DataChunk) -> Tally:
        """Launch the steps of a chunk."""
        run, order, start = self.program, chunk.order, np.int32(chunk.start)
        if chunk.ragged:
            self.state, tally = train_rows(
                run, self.state, tally, chunk.data, order, start, self._live
            )
        else:
            count = np.int32(chunk.steps)
            self.state, tally = train_chunk(
                run, self.state, tally, chunk.data, order, start, count, self._live
            )
        return tally

    def _evaluate(self, tally: Tally) -> dict[str, jax.Array]:
        """Evaluate in the middle of an epoch, and return what it measured on validation data."""
        self.state, measured = evaluate_within(
            self.program, self.state, tally, *self._validation(), self._live
        )
        return {name: v for name, v in measured.values.items() if name.startswith("val/")}

    def _validation(self) -> tuple[Any, Any]:
        """Validation data for the end of the epoch, or the metrics of what was streamed."""
        if self._val is None or self.program.make_recipe is None:
            return None, None
        if isinstance(self._val, OnDevice):
            return self._val.evaluation(), None
        sums, first = None, 0
        for chunk in self._val.evaluation():
            sums = evaluate_more(
                self.program, self.state, sums, chunk.data, np.int32(first), self._live
            )
            first += chunk.steps
            jax.block_until_ready(sums)
        return None, sums

    def _show(self, tally: Tally, chunk: DataChunk, launched: int) -> None:
        """Tell `on_chunk` of the chunk before, and keep this one for later.

        Args:
          tally: behind the chunk.
          chunk: that was launched.
          launched: steps of the epoch that were launched before it.
        """
        if self._on_chunk is None:
            return
        self.show_last_chunk()
        # The next chunk donates the tally, so what is shown later is a copy.
        self._unseen = (self.epoch + 1, launched, chunk.start, _piece(tally), self.roster)

    def _note_failure(self, stopped: np.ndarray, skips: Skips) -> None:
        if stopped.ndim == 0 and stopped and skips.in_a_row:
            self.failure = nonfinite_message(self.state, skips)

    @property
    def _live(self) -> np.ndarray | None:
        """The number of live cohorts of a population."""
        return None if self.roster is None else self.roster.live


def _piece(tally: Tally) -> Piece:
    return Piece(*copy((tally.done, tally.series)))
