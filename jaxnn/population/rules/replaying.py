"""Train again with the knobs that a member of an evolved population had on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_count, check_function, check_positive_int
from jaxnn.population.members.crew import Crew
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.control.protocol import Mode
from jaxnn.train.loop.loop import Loop
from jaxnn.train.step.state import TrainState

__all__ = ["Replay", "replay", "scheduled", "with_knobs"]


@dataclass(frozen=True)
class Replay:
    """See `replay`."""

    knobs: Mapping[int, Any]
    monitor: str = "val/loss"
    mode: Mode | None = "min"

    @property
    def first_rung(self) -> int:
        return min(self.knobs, default=1)

    def acts(self, epoch: int) -> bool:
        return epoch in self.knobs

    def apply(self, crew: Crew, loop: Loop, scores: np.ndarray, mode: Mode, epoch: int) -> None:
        state = loop.state
        knobs = jax.tree.map(
            lambda leaf, value: np.full(leaf.shape, value, leaf.dtype),
            state.knobs,
            self.knobs[epoch],
        )
        assert loop.roster is not None  # of a population
        loop.rearrange(with_knobs(crew, state, knobs), loop.roster)


def replay(schedule: list[tuple[int, Any]]) -> Replay:
    """Train again with the knobs that a member of an evolved population had, epoch by epoch.

    Args:
      schedule: of `Population.schedule`: pairs (epoch, knobs), from 0.

    Returns:
      A rule for `fit_population(evolve=...)`, for a population of that one member: its knobs at
      the start are those of the first pair.

    >>> replay([(0, {"lr": 0.1}), (4, {"lr": 0.12})]).acts(4)
    True
    """
    return Replay({epoch: knobs for epoch, knobs in _checked(schedule) if epoch})


def scheduled(
    make_recipe: MakeRecipe, schedule: Sequence[tuple[int, Any]], steps_per_epoch: int
) -> MakeRecipe:
    """The recipe whose knobs follow a schedule by the clock, for a run of `jaxnn.fit` alone.

    Args:
      make_recipe: that was trained.
      schedule: of `Population.schedule`: pairs (epoch, knobs), from 0.
      steps_per_epoch: `population.config["steps_per_epoch"]`.

    Returns:
      A `make_recipe` that takes no knobs, and the clock.

    >>> import jaxnn
    >>> def make_recipe(knobs):
    ...     return jaxnn.Recipe(
    ...         jaxnn.nn.MLP((2,), dropout_rate=knobs["dropout"]),
    ...         jaxnn.losses.softmax_cross_entropy,
    ...         jaxnn.optim.sgd(0.1),
    ...     )
    >>> schedule = [(0, {"dropout": 0.5}), (2, {"dropout": 0.25})]
    >>> later = scheduled(make_recipe, schedule, steps_per_epoch=5)
    >>> [float(later({}, np.int32(step)).model.dropout_rate) for step in (9, 10)]
    [0.5, 0.25]
    """
    steps = check_positive_int("steps_per_epoch", steps_per_epoch)
    check_function("make_recipe", make_recipe)
    schedule = _checked(schedule)

    def of_clock(knobs: Any, clock: Any) -> Recipe:
        current = jax.tree.map(jnp.asarray, schedule[0][1])
        for epoch, later in schedule[1:]:
            begun = clock >= epoch * steps
            current = jax.tree.map(lambda a, b, on=begun: jnp.where(on, b, a), current, later)
        return build(make_recipe, current, clock)

    return of_clock


def _checked(schedule: Any) -> list[tuple[int, Any]]:
    """Refuse what is no list of pairs (epoch, knobs) from epoch 0 on."""
    wanted = "schedule must be pairs (epoch, knobs) in rising order from epoch 0"
    if not isinstance(schedule, (list, tuple)):
        raise TypeError(f"{wanted}, got {schedule!r}")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in schedule):
        raise TypeError(f"{wanted}, got {schedule!r}")
    epochs = [check_count("schedule", epoch) for epoch, _ in schedule]
    if not epochs or epochs[0] or any(a >= b for a, b in pairwise(epochs)):
        raise ValueError(f"{wanted}, got {schedule!r}")
    return [(epoch, knobs) for epoch, knobs in schedule]


def with_knobs(crew: Crew, state: TrainState, knobs: Any) -> TrainState:
    """The state of cohorts with other knobs, (cohorts, width)."""
    dtypes = jax.tree.map(lambda leaf: leaf.dtype, state.knobs)
    return crew.place(state.replace(knobs=jax.tree.map(jnp.asarray, knobs, dtypes)))
