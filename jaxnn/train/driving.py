"""Play a run or a population to its end: launch, collect, record, tell, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np

from jaxnn.train.bundle.encoding import write_encoding
from jaxnn.train.devices.distributed import any_process, is_first, wait_for_all
from jaxnn.train.devices.transfer import copy
from jaxnn.train.keeper import Keeper
from jaxnn.train.loop.loop import Loop
from jaxnn.train.observers import Observer
from jaxnn.train.record.folder import RunFolder
from jaxnn.train.record.interrupt import Interrupt, deferred_interrupt
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.step.state import TrainState

__all__ = ["Between", "play"]


class Between(Protocol):
    """Acts on a population between two epochs, when none is under way."""

    def waits(self, epoch: int) -> bool:
        """Whether the epoch behind this one is launched only when this one's record is known."""
        ...

    def act(self, epoch: int) -> None:
        """Change who trains; called behind an epoch for which it `waits`."""
        ...


def play(
    run: Any,
    loop: Loop,
    total: int,
    *,
    watching: Sequence[Observer],
    files: RunFolder | None,
    keeper: Keeper,
    keeps_start: bool,
    given: Callable[[TrainState], Any],
    finished: Callable[[TrainState], Any],
    between: Between | None = None,
) -> None:
    """Train up to an epoch, and leave everything in the run and in its folder.

    Args:
      run: a `Run` or a `Population`, whose `state` and `history` grow.
      loop: that stands where the run does.
      total: the last epoch.
      watching: observers.
      files: the run's folder, or None.
      keeper: of its checkpoints.
      keeps_start: whether the first state becomes a checkpoint.
      given: makes of the loop's state what `run.state` holds while the run goes on.
      finished: makes of it what the run hands back.
      between: acts between epochs, or None.

    Raises:
      FloatingPointError: the run cannot go on.
      KeyboardInterrupt: after Ctrl-C, once everything is written.
    """
    shows_state = any(getattr(observer, "reads_state", True) for observer in watching)
    with ExitStack() as stack, deferred_interrupt() as interrupt:
        for observer in watching:
            observer.on_start(run)
            stack.callback(observer.on_end, run)
        wait_for_all("jaxnn: before the folder is written")
        if files is not None:  # not before every observer has agreed to begin
            files.begin(run.config, run.history)
            if is_first():
                write_encoding(files.path, run.encoding)
            stack.callback(files.flush)  # before the observers end, whatever ends the run
            if keeps_start:
                keeper.keep_last(0)
        for record, present in _records(loop, total, keeper, interrupt, shows_state, between):
            run.history.epochs.append(record)
            if present is not None:
                run.state = given(present)
            if files is not None:
                files.append(record)
            for observer in watching:
                observer.on_epoch(record)
        keeper.keep_last(len(run.history.epochs))
        run.state = finished(loop.state)
        if loop.failure is not None:
            raise FloatingPointError(loop.failure)
        if files is not None:
            files.save_final(run.state, len(run.history.epochs))
        wait_for_all("jaxnn: until the folder is written")
        if interrupt.pressed:
            raise KeyboardInterrupt


def _records(
    loop: Loop,
    total: int,
    keeper: Keeper,
    interrupt: Interrupt,
    shows_state: bool,
    between: Between | None,
) -> Iterator[tuple[EpochRecord, TrainState | None]]:
    """The epochs up to `total`, the next one launched before one is waited for.

    Only where somebody acts between the two is an epoch waited for first. Beside each record
    stands a copy of the state at the end of its epoch, where somebody wants it: the state itself
    is donated to the next epoch.
    """
    pending = snapshot = None
    due = False
    going = not loop.has_ended()  # as a resumed run may have
    if between is not None and going and 0 < loop.epoch < total and between.waits(loop.epoch):
        between.act(loop.epoch)  # a checkpoint stands before what is done behind its epoch
    while going or pending is not None:
        interrupt.pressed = any_process(interrupt.pressed)
        going = going and loop.epoch < total and not interrupt.pressed
        waits = between is not None and pending is not None and between.waits(pending.epoch)
        launched = loop.launch() if going and not waits else None
        next_due = launched is not None and keeper.is_due()
        wanted = launched is not None and (next_due or shows_state)
        next_snapshot = copy(loop.state) if wanted else None
        if pending is not None:
            if launched is None:
                loop.show_last_chunk()
            record = loop.collect(pending)
            yield record, snapshot
            if np.all(record.stopped):
                return  # an epoch just launched finds the run stopped, and changes nothing
            if due:
                keeper.keep(snapshot, record.epoch)
            if waits and going:
                assert between is not None
                between.act(record.epoch)
        pending, snapshot, due = launched, next_snapshot, next_due
