"""A population's folder: that of a run, with who is alive beside each checkpoint."""

from __future__ import annotations

import os
from typing import Any

from jaxnn.population.members.crew import Crew
from jaxnn.train.loop.loop import Loop
from jaxnn.train.record.folder import RunFolder

__all__ = ["PopulationFolder"]


class PopulationFolder(RunFolder):
    """The files of one population; see `RunFolder`.

    A checkpoint holds the states of all members, also of those that have left, in the order of
    their ids. So it does not depend on where they lie, and it resumes to the same bits.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._crew: Crew | None = None
        self._loop: Loop | None = None

    def require_a_run(self, argument: str) -> None:
        """Refuse a folder without a population."""
        super().require_a_run(argument)
        if self.config().get("population") is None:
            raise ValueError(
                f"{argument} must be the folder of a population, got {self.path}, which holds a "
                "single run"
            )

    def belongs_to(self, crew: Crew, loop: Loop) -> None:
        """Set whose states are written."""
        self._crew, self._loop = crew, loop

    def save_checkpoint(self, state: Any, epoch: int, about: dict[str, Any] | None = None) -> None:
        """Keep the states of all members at the end of the last epoch."""
        assert self._crew is not None and self._loop is not None  # told before the first epoch
        roster = self._loop.roster
        assert roster is not None  # of a population
        beside = {**(about or {}), **self._crew.about(roster.ids)}
        super().save_checkpoint(self._crew.whole(state, roster), epoch, beside)

    def save_final(self, state: Any, epoch: int, about: dict[str, Any] | None = None) -> None:
        """Keep the states that all members handed back."""
        beside = about or {}
        if self._crew is not None:
            fates = [self._crew.fates[member] for member in range(self._crew.members)]
            beside = {"fates": fates, "lineage": self._crew.lineage}
        super().save_final(state, epoch, beside)
