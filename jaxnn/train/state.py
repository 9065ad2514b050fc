"""Everything that a run is, between two steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.keys import as_key
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.objective import init_variables

__all__ = ["Control", "Skips", "TrainState", "fresh_control", "has_stopped", "init_state"]


class Skips(struct.PyTreeNode):
    """Steps that were left out because their loss or gradient was not finite."""

    total: jax.Array  # () int32: in the whole run
    in_a_row: jax.Array  # () int32: up to now
    step: jax.Array  # () int32: the last one
    leaf: jax.Array  # () int32: what was not finite there: 0 the loss, then the parameters


class Control(struct.PyTreeNode):
    """What controllers decided, and what they remember."""

    scale: jax.Array  # () floating: the step multiplies the rate by it
    stop: jax.Array  # () bool: once set, further steps change nothing
    skips: Skips
    memory: tuple[Any, ...]  # one entry a controller


class TrainState(struct.PyTreeNode):
    """A run between two steps, as a pytree of arrays.

    Attributes:
      step: () int32, steps done. The position: it is the address of the next draws.
      knobs: pytree of scalars that `make_recipe` is called with.
      params: the model's parameters.
      model_state: its other collections, such as running statistics; `{}` where none.
      opt_state: of the optimizer.
      averaged: running average of `{"params", "model_state"}`, or None.
      control: of the controllers.
      key: () typed key, the root of all draws; never replaced.
    """

    step: jax.Array
    knobs: Any
    params: Any
    model_state: Any
    opt_state: Any
    averaged: Any
    control: Control
    key: jax.Array


def fresh_control() -> Control:
    """Nothing decided, nothing remembered."""
    zero = jnp.zeros((), jnp.int32)
    return Control(
        scale=jnp.ones((), float),
        stop=jnp.zeros((), bool),
        skips=Skips(zero, zero, zero, zero),
        memory=(),
    )


def init_state(recipe: Recipe | MakeRecipe, key: Any, batch: Any, knobs: Any = None) -> TrainState:
    """The state before the first step; a pure function, to be jitted or mapped.

    Args:
      recipe: a recipe, or `make_recipe` for the given knobs.
      key: root key of the run: typed, raw or an integer.
      batch: pytree of arrays with the shapes of the data, any number of rows.
      knobs: pytree of scalars; None for a recipe without.

    Returns:
      The state.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> recipe = Recipe(nn.MLP((3, 2)), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> state = init_state(recipe, 0, {"x": jnp.ones((1, 4))})
    >>> state.params["Dense_0"]["kernel"].shape
    (4, 3)
    """
    knobs = {} if knobs is None else knobs
    built = build(recipe, knobs, jnp.zeros((), jnp.int32))
    assert built.optimizer is not None  # refused by Recipe
    key = as_key(key)
    params, model_state = init_variables(built, key, batch)
    averaged = None
    if built.average is not None:
        averaged = built.average.init({"params": params, "model_state": model_state})
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        knobs=knobs,
        params=params,
        model_state=model_state,
        opt_state=built.optimizer.init(params),
        averaged=averaged,
        control=fresh_control(),
        key=key,
    )
    memory = tuple(controller.init(state) for controller in built.controllers)
    return state.replace(control=state.control.replace(memory=memory))


def has_stopped(state: Any) -> jax.Array:
    """Whether a controller has ended the run; never, for a state of the user's own."""
    return state.control.stop if isinstance(state, TrainState) else jnp.zeros((), bool)
