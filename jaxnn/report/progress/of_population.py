"""What the progress of a population shows."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np

from jaxnn.population.population import Population
from jaxnn.report.progress.ending import population_ending
from jaxnn.report.values import duration, leading_name, number
from jaxnn.train import EpochRecord

__all__ = ["PopulationWords"]


class PopulationWords:
    """Members that are alive, the best value so far, the next rung, the speed, and the time left.

    Args:
      population: as `Observer.on_start` gets it; what a resumed one has measured counts.
    """

    def __init__(self, population: Population) -> None:
        config = population.config
        self._epochs: int = config["epochs"]
        self._members: int = config["population"]["members"]
        # The members that train in the time of one: seconds grow with the cohorts, not with them.
        self._at_once: int = config["population"]["cohort"] * config["population"]["devices"]
        self._rungs: list[int] = config.get("rungs", [])
        self._directions: dict[str, str] = config["directions"]
        self._best: dict[str, tuple[float, int]] = {}  # value and member by the value's name
        self._seconds: list[float] = []  # of an epoch, for each round of cohorts
        self._compiling = True
        for record in population.history.epochs:
            self._see(record)

    def of_epoch(self, record: EpochRecord) -> tuple[list[str], list[str]]:
        """What is known of the members after the epoch, and how fast it was."""
        self._see(record)
        alive = int(np.sum(~np.asarray(record.stopped)))
        parts = [f"{alive:,}/{self._members:,} alive"]
        name = leading_name(self._best, self._directions)
        if name is not None:
            value, member = self._best[name]
            split, _, metric = name.partition("/")
            prefix = "" if split == "train" else f"{split} "
            parts.append(f"best {prefix}{metric} {number(value, 3)} (member {member})")
        ahead = [epoch for epoch in self._rungs if epoch > record.epoch]
        if ahead:
            parts.append(f"next rung: epoch {ahead[0]}")
        return parts, self._speed(record, alive, bool(ahead) or record.epoch in self._rungs)

    def of_end(self, population: Population, error: BaseException | None) -> str:
        """Why the population ended."""
        return population_ending(population, error)

    def _see(self, record: EpochRecord) -> None:
        members: Any = record.members
        for name, direction in self._directions.items():
            if name not in record.values:
                continue
            values = np.asarray(record.values[name])
            if not np.isfinite(values).any():
                continue
            sign = 1 if direction == "min" else -1
            row = int(np.argmin(np.where(np.isfinite(values), sign * values, math.inf)))
            old = self._best.get(name)
            if old is None or sign * values[row] < sign * old[0]:  # of equal values the first
                self._best[name] = (float(values[row]), int(members[row]))

    def _speed(self, record: EpochRecord, alive: int, shrinks: bool) -> list[str]:
        if self._compiling:  # an epoch that compiles says nothing of the later ones
            self._compiling = False
            return []
        members: Any = record.members
        done = int(np.count_nonzero(np.asarray(record.done)))
        # One time of all members together stands in the row of each.
        seconds = float(np.max(record.values.get("seconds", math.nan), initial=-math.inf))
        parts = []
        if math.isfinite(seconds) and seconds > 0:
            parts.append(f"{number(done / seconds, 3)} member-epochs/s")
            self._seconds.append(seconds / math.ceil(len(members) / self._at_once))
        if self._seconds:
            rounds = math.ceil(alive / self._at_once) * max(self._epochs - record.epoch, 0)
            left = duration(rounds * statistics.median(self._seconds))
            parts.append(f"at most {left} left" if shrinks else f"{left} left")
        return parts
