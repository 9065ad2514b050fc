"""Decide when a run's state becomes a checkpoint."""

from __future__ import annotations

import time
from typing import Any

from jaxnn.train.devices.distributed import any_process
from jaxnn.train.loop.loop import Loop
from jaxnn.train.record.folder import RunFolder

__all__ = ["Keeper"]

_SECONDS = 30.0  # between checkpoints, where the user does not count in epochs


class Keeper:
    """Decides when the state becomes a checkpoint, and writes it."""

    def __init__(self, files: RunFolder | None, loop: Loop, every: int | None, done: int) -> None:
        self._files, self._loop, self._every = files, loop, every
        self._kept = done or None  # the epoch that the folder holds already
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether the state of the epoch just launched should become a checkpoint."""
        if self._files is None:
            return False
        if self._every is not None:
            due = self._loop.epoch % self._every == 0
        else:
            due = time.monotonic() - self._last > _SECONDS
        return any_process(due)

    def keep(self, state: Any, epoch: int) -> None:
        """Write a copy of the state at the end of an epoch."""
        if self._files is not None and epoch != self._kept:
            self._files.save_checkpoint(state, epoch)
            self._last, self._kept = time.monotonic(), epoch

    def keep_last(self, epoch: int) -> None:
        """Write the state that the run ended with."""
        self.keep(self._loop.state, epoch)
