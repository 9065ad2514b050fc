"""Population-based training: the worst copy the best, and try other knobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.keys import stream
from jaxnn.population.members.crew import Crew
from jaxnn.population.prepare.knobs import knobs_of
from jaxnn.population.rules.replaying import with_knobs
from jaxnn.recipe import build
from jaxnn.train.control.protocol import Mode, mode_of
from jaxnn.train.devices.transfer import fetch
from jaxnn.train.loop.loop import Loop

__all__ = ["Evolution", "ExploitAndExplore", "exploit_and_explore"]


@runtime_checkable
class Evolution(Protocol):
    """A rule by which members copy others between epochs."""

    monitor: str
    mode: Mode | None

    @property
    def first_rung(self) -> int:
        """The first epoch behind which it acts."""
        ...

    def acts(self, epoch: int) -> bool:
        """Whether members may copy others behind this epoch."""
        ...

    def apply(self, crew: Crew, loop: Loop, scores: np.ndarray, mode: Mode, epoch: int) -> None:
        """Change the members of a loop that has no epoch under way."""
        ...


@dataclass(frozen=True)
class ExploitAndExplore:
    """See `exploit_and_explore`."""

    every: int
    fraction: float
    perturb: float | Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]
    monitor: str
    mode: Mode | None

    @property
    def first_rung(self) -> int:
        return self.every

    def acts(self, epoch: int) -> bool:
        return epoch % self.every == 0

    def apply(self, crew: Crew, loop: Loop, scores: np.ndarray, mode: Mode, epoch: int) -> None:
        roster = loop.roster
        assert roster is not None  # of a population
        root = loop.key
        own = scores[roster.ids]
        order = np.argsort(np.where(np.isfinite(own), own if mode == "min" else -own, np.inf))
        count = int(len(order) * self.fraction)
        if not count:
            return
        best, worst = order[:count], order[len(order) - count :]
        drawn = jax.random.randint(stream(root, "exploit", epoch), (count,), 0, count)
        rows = np.arange(len(order))
        rows[worst] = best[np.asarray(drawn)]
        crew.rearrange(loop, roster.ids, rows)
        state = loop.state
        knobs = jax.tree.map(lambda leaf: np.array(fetch(leaf)), state.knobs)
        columns = knobs_of(knobs)
        for number, (name, column) in enumerate(columns.items()):
            factor = self._factor(name)
            up = jax.random.bernoulli(stream(root, "explore", epoch, number), 0.5, (count,))
            flat = column.reshape(-1)
            slots = roster.slots[worst]
            moved = flat[slots] * np.where(np.asarray(up), factor, 1 / factor)
            flat[slots] = np.clip(moved, *self.bounds.get(name, (-np.inf, np.inf)))
        _check(crew, knobs, roster, worst)
        loop.rearrange(with_knobs(crew, state, knobs), roster)
        crew.lineage.append(
            {
                "epoch": epoch,
                "parents": {
                    str(roster.ids[row]): int(roster.ids[rows[row]]) for row in worst.tolist()
                },
                "knobs": {
                    name: {
                        str(roster.ids[row]): float(column.reshape(-1)[roster.slots[row]])
                        for row in worst.tolist()
                    }
                    for name, column in columns.items()
                },
            }
        )

    def _factor(self, name: str) -> float:
        return self.perturb.get(name, 1.0) if isinstance(self.perturb, Mapping) else self.perturb


def exploit_and_explore(
    every: int,
    *,
    fraction: float = 0.25,
    perturb: float | Mapping[str, float] = 1.2,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    monitor: str = "val/loss",
    mode: Mode | None = None,
) -> ExploitAndExplore:
    """Let the worst members copy the best, and go on with other knobs.

    Behind every so many epochs each of the worst takes over all of one of the best: weights,
    optimizer state, averages, controllers, key and knobs. Each knob is then multiplied or
    divided by its factor. Who is copied, and which way a knob goes, are draws with an address.

    Args:
      every: epochs between copies, at least 1.
      fraction: of the members that copy, and that are copied, in (0, 0.5].
      perturb: the factor, above 1 where a knob is to move; of each knob by its path, where a
        knob that is left out stays as it is.
      bounds: lowest and highest value of a knob by its path.
      monitor: name of the compared value in the epoch's record.
      mode: "min" or "max"; None: the direction that the metric carries.

    Returns:
      A rule for `fit_population(evolve=...)`. `Population.lineage` has what it did.

    Raises:
      ValueError, TypeError: an argument outside its range.

    >>> exploit_and_explore(every=2, perturb={"lr": 1.2}, bounds={"lr": (1e-5, 1e-1)}).every
    2

    Source: Jaderberg et al. 2017.
    """
    every = check_positive_int("every", every)
    check_knob("fraction", fraction, 0, 0.5)
    if fraction == 0:
        raise ValueError("fraction must be above 0, got 0")
    for name, factor in perturb.items() if isinstance(perturb, Mapping) else [("", perturb)]:
        check_knob(f"perturb: {name}" if name else "perturb", factor, 1)
    return ExploitAndExplore(
        every, float(fraction), perturb, _bounds(bounds), monitor, mode_of(monitor, mode)
    )


def _bounds(bounds: Any) -> dict[str, tuple[float, float]]:
    """Check that bounds are pairs of numbers by name."""
    if bounds is None:
        return {}
    if not isinstance(bounds, Mapping):
        raise TypeError(f"bounds must be a dict from a knob to (lowest, highest), got {bounds!r}")
    for name, pair in bounds.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"bounds: {name} must be (lowest, highest), got {pair!r}")
        for end in pair:
            check_knob(f"bounds: {name}", end)
        if not pair[0] <= pair[1]:
            raise ValueError(f"bounds: {name} must be (lowest, highest), got {pair}")
    return {name: (pair[0], pair[1]) for name, pair in bounds.items()}


def _check(crew: Crew, knobs: Any, roster: Any, rows: np.ndarray) -> None:
    """Refuse knobs outside the ranges that the recipe's factories know."""
    for row in rows.tolist():
        slot = roster.slots[row]
        own = jax.tree.map(lambda leaf, slot=slot: np.float64(leaf.reshape(-1)[slot]), knobs)
        try:
            build(crew.make_recipe, own, np.int32(0))
        except (ValueError, TypeError) as error:
            raise type(error)(
                f"perturb has moved the knobs of member {roster.ids[row]} out of range: {error}; "
                "bounds= keeps them in"
            ) from error
