"""What happens to a population between two epochs: rungs, copies, and closing the ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxnn.population.members.crew import Crew
from jaxnn.population.rules.evolution import Evolution
from jaxnn.population.rules.shrinking import Shrink
from jaxnn.population.table import latest_values
from jaxnn.train.control.protocol import Mode
from jaxnn.train.loop.loop import Loop
from jaxnn.train.record.history import History

__all__ = ["Rungs"]


class Rungs:
    """Decides between epochs who goes on, and with what; see `jaxnn.train.driving.Between`.

    Every decision is a function of the record so far, so that a resumed run makes the same ones.

    Args:
      crew: of the population.
      loop: that trains it.
      history: that grows.
      shrink: who goes, or None.
      evolve: who copies whom, or None.
      modes: of what these two monitor.
    """

    def __init__(
        self,
        crew: Crew,
        loop: Loop,
        history: History,
        shrink: Shrink | None,
        evolve: Evolution | None,
        modes: dict[str, Mode],
    ) -> None:
        self._crew, self._loop, self._history = crew, loop, history
        self._shrink, self._evolve, self._modes = shrink, evolve, modes

    def waits(self, epoch: int) -> bool:
        """Whether something is decided behind this epoch, or the stopped fill whole cohorts."""
        rules = [rule for rule in (self._shrink, self._evolve) if rule is not None]
        return any(rule.acts(epoch) for rule in rules) or self._frees_a_cohort()

    def act(self, epoch: int) -> None:
        """Let members go, or copy others."""
        if self._shrink is not None and self._shrink.acts(epoch):
            alive = self._alive()
            values = self._values(self._shrink.monitor, epoch)
            ids = self._shrink.leaving(values, alive, self._modes[self._shrink.monitor])
            stopped = set(self._stopped().tolist())
            # Of a member that ended by itself its own state says why.
            reasons = {
                int(member): "" if member in stopped else f"taken out after epoch {epoch}"
                for member in np.sort(ids)
            }
            if reasons:
                self._crew.part_with(self._loop, reasons, self._history)
        if self._frees_a_cohort():
            gone = {int(member): "" for member in self._stopped()}
            self._crew.part_with(self._loop, gone, self._history)
        if self._evolve is not None and self._evolve.acts(epoch):
            scores = latest_values(self._values(self._evolve.monitor, epoch))
            self._evolve.apply(
                self._crew, self._loop, scores, self._modes[self._evolve.monitor], epoch
            )

    def _alive(self) -> np.ndarray:
        assert self._loop.roster is not None  # of a population
        return self._loop.roster.ids

    def _values(self, name: str, epoch: int) -> np.ndarray:
        return self._history.series(name)[:epoch]

    def _stopped(self) -> np.ndarray:
        """The members that are alive and have stopped, by the last record."""
        if not len(self._history.epochs):
            return np.array([], np.int64)
        record: Any = self._history.epochs[-1]
        return np.intersect1d(record.members[record.stopped], self._alive())

    def _frees_a_cohort(self) -> bool:
        alive, stopped = len(self._alive()), len(self._stopped())
        width = self._crew.width
        left = alive - stopped
        return left > 0 and -(-left // width) < -(-alive // width)
