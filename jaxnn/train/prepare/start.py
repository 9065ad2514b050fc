"""The state that a run starts from."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.devices.compilation import quickly
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.step.state import TrainState, as_knobs, fresh_control, init_state

__all__ = ["checked_knobs", "start_state"]


def start_state(
    make_recipe: MakeRecipe, key: jax.Array, train: Any, knobs: Any, state: TrainState | None
) -> TrainState:
    """Make a fresh state, or take over the given one under this run's key.

    Args:
      make_recipe: of the recipe.
      key: root key of the run.
      train: training data, of which shapes and dtypes matter.
      knobs: checked.
      state: given by the user, or None.

    Raises:
      ValueError: a state that is not of this recipe.
    """
    rows = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), train)
    if state is None:
        return quickly(_init_state, (0,))(make_recipe, key, rows, knobs)
    state = state.replace(key=key, knobs=knobs)
    _check_fits(_init_state.eval_shape(make_recipe, key, rows, knobs), state)
    if state.control.memory:
        return state.replace(control=state.control.replace(stop=jnp.zeros((), bool)))
    # The controllers of a run that has ended remember nothing; this one's begin afresh.
    memory = _init_memory(make_recipe, state)
    return state.replace(control=fresh_control().replace(memory=memory))


def _check_fits(fresh: TrainState, state: TrainState) -> None:
    for part in ("params", "model_state", "opt_state", "averaged"):
        want, got = getattr(fresh, part), getattr(state, part)
        shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(t)] for t in (want, got)]
        if jax.tree.structure(want) != jax.tree.structure(got) or shapes[0] != shapes[1]:
            raise ValueError(
                f"state must be of this recipe, whose {part} has the structure "
                f"{jax.tree.map(lambda leaf: leaf.shape, want)}, "
                f"got {jax.tree.map(lambda leaf: leaf.shape, got)}"
            )


@partial(jax.jit, static_argnums=0)
def _init_memory(make_recipe: MakeRecipe, state: TrainState) -> tuple[Any, ...]:
    recipe = build(make_recipe, state.knobs, state.clock)
    return tuple(controller.init(state) for controller in recipe.controllers)


_init_state = jax.jit(init_state, static_argnums=0)


def checked_knobs(setup: Setup) -> Any:
    """The knobs of a run as scalar arrays.

    Raises:
      ValueError, TypeError: a knob that is not one finite number.
    """
    knobs = setup.knobs
    if knobs is None:
        knobs = {} if setup.state is None else setup.state.knobs
    return as_knobs(knobs)
