"""Rules by which a population shrinks: who goes at which epoch, from what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.population.table import latest_values
from jaxnn.train.control.protocol import Mode, mode_of

__all__ = [
    "MedianStopping",
    "Shrink",
    "SuccessiveHalving",
    "median_stopping",
    "successive_halving",
]


@runtime_checkable
class Shrink(Protocol):
    """A rule that takes members out of a population between epochs."""

    monitor: str
    mode: Mode | None

    @property
    def first_rung(self) -> int:
        """The first epoch behind which it acts."""
        ...

    def acts(self, epoch: int) -> bool:
        """Whether it looks at the population behind this epoch."""
        ...

    def leaving(self, values: np.ndarray, alive: np.ndarray, mode: Mode) -> np.ndarray:
        """Say who goes.

        Args:
          values: (epochs, members) of `monitor` so far, NaN where nothing was measured.
          alive: ids of the members that are left.
          mode: whether the lowest or the highest value is the best.

        Returns:
          Some of the ids.
        """
        ...


@dataclass(frozen=True)
class SuccessiveHalving:
    """See `successive_halving`."""

    factor: int
    first: int
    monitor: str
    mode: Mode | None

    @property
    def first_rung(self) -> int:
        return self.first

    def acts(self, epoch: int) -> bool:
        rung = self.first
        while rung < epoch:
            rung *= self.factor
        return rung == epoch

    def leaving(self, values: np.ndarray, alive: np.ndarray, mode: Mode) -> np.ndarray:
        keep = math.ceil(len(alive) / self.factor)
        return alive[np.argsort(_worse(latest_values(values)[alive], mode), kind="stable")[keep:]]


def successive_halving(
    factor: int = 3, *, first: int = 1, monitor: str = "val/loss", mode: Mode | None = None
) -> SuccessiveHalving:
    r"""Keep the best $1/\eta$ of the members at each rung, and give them $\eta$ times the epochs.

    The rungs are behind epochs $r, r\eta, r\eta^2, \dots$, as far as the run goes. A member that
    has stopped is compared by what it measured last, and one that diverged goes first.

    Args:
      factor: η, at least 2. Of n members ⌈n/η⌉ stay.
      first: r, the epoch of the first rung, at least 1.
      monitor: name of the compared value in the epoch's record.
      mode: "min" or "max"; None: the direction that the metric carries.

    Returns:
      A rule for `fit_population(shrink=...)`.

    Raises:
      ValueError, TypeError: an argument outside its range.

    >>> rule = successive_halving(3, first=2)
    >>> [epoch for epoch in range(1, 20) if rule.acts(epoch)]
    [2, 6, 18]
    >>> rule.leaving(np.array([[0.3, 0.1, 0.2]]), np.arange(3), "min")
    array([2, 0])

    Source: Jamieson and Talwalkar 2016; Li et al. 2018 (Hyperband).
    """
    factor = check_positive_int("factor", factor)
    if factor < 2:
        raise ValueError(f"factor must be an integer of at least 2, got {factor}")
    first = check_positive_int("first", first)
    return SuccessiveHalving(factor, first, monitor, mode_of(monitor, mode))


@dataclass(frozen=True)
class MedianStopping:
    """See `median_stopping`."""

    first: int
    every: int
    monitor: str
    mode: Mode | None

    @property
    def first_rung(self) -> int:
        return self.first

    def acts(self, epoch: int) -> bool:
        return epoch >= self.first and (epoch - self.first) % self.every == 0

    def leaving(self, values: np.ndarray, alive: np.ndarray, mode: Mode) -> np.ndarray:
        worse = _worse(values, mode)
        known = np.isfinite(values).any(axis=0)
        if not known.any():
            return alive[:0]
        means = np.array([np.mean(column[np.isfinite(column)]) for column in worse.T[known]])
        best = np.where(np.isfinite(worse), worse, math.inf).min(axis=0)
        return alive[best[alive] > np.median(means)]


def median_stopping(
    *, first: int = 3, every: int = 1, monitor: str = "val/loss", mode: Mode | None = None
) -> MedianStopping:
    """Take out the members whose best value so far is worse than the median of averages.

    The averages are those of each member's values over its epochs so far, of all members that
    the population had.

    Args:
      first: the first epoch behind which members go, at least 1.
      every: epochs between looks, at least 1.
      monitor: name of the compared value in the epoch's record.
      mode: "min" or "max"; None: the direction that the metric carries.

    Returns:
      A rule for `fit_population(shrink=...)`.

    Raises:
      ValueError, TypeError: an argument outside its range.

    >>> values = np.array([[3.0, 2.0, 1.0], [3.0, 1.0, 0.5]])
    >>> median_stopping(first=2).leaving(values, np.arange(3), "min")
    array([0])

    Source: Golovin et al. 2017 (Google Vizier).
    """
    first, every = check_positive_int("first", first), check_positive_int("every", every)
    return MedianStopping(first, every, monitor, mode_of(monitor, mode))


def _worse(values: np.ndarray, mode: Mode) -> Any:
    """Values of which the lowest is the best, and what is not finite the worst."""
    signed = values if mode == "min" else -values
    return np.where(np.isfinite(values), signed, np.nan)
