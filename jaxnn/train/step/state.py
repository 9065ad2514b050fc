"""The state of a run between two steps, and which of its leaves belong to a member."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_knob, is_concrete
from jaxnn.data.shapes import check_shapes
from jaxnn.keys import as_key
from jaxnn.recipe import MakeRecipe, Recipe, build
from jaxnn.train.step.objective import init_variables
from jaxnn.tree import outline, path_name

__all__ = [
    "Control",
    "Skips",
    "TrainState",
    "as_knobs",
    "check_state",
    "fresh_control",
    "init_state",
    "member_axes",
    "member_state",
]


class Skips(struct.PyTreeNode):
    """Counts of the steps that were skipped because their loss or gradient was not finite."""

    total: jax.Array  # () int32: skipped steps of the whole run
    in_a_row: jax.Array  # () int32: skipped steps since the last good one
    step: jax.Array  # () int32: the clock at the last skipped step
    leaf: jax.Array  # () int32: what was not finite there: 0 the loss, then the parameters


class Control(struct.PyTreeNode):
    """What controllers decided and remember, and a member's own counts."""

    scale: jax.Array  # () floating: the step multiplies the rate by it
    stop: jax.Array  # () bool: once set, further steps change nothing
    updates: jax.Array  # () int32: steps that this member really took
    skips: Skips
    memory: tuple[Any, ...]  # one entry per controller

    def __repr__(self) -> str:  # a memory may hold the best weights
        return f"Control(memory: {outline(self.memory)})"


class TrainState(struct.PyTreeNode):
    """A run between two steps, as a pytree of arrays.

    In a population the members share `clock` and `key`; every other leaf belongs to a member
    and has leading axes for the members. `member_axes` says which is which.

    Attributes:
      clock: () int32, the number of steps done. It is the address of the next draws.
      knobs: pytree of scalars that `make_recipe` is called with.
      params: the model's parameters.
      model_state: the model's other collections, such as running statistics; `{}` without any.
      opt_state: the optimizer's state.
      averaged: running average of `{"params", "model_state"}`, or None.
      control: what controllers decided and remember.
      key: () typed key, the root of all draws; never replaced.
    """

    clock: jax.Array
    knobs: Any
    params: Any
    model_state: Any
    opt_state: Any
    averaged: Any
    control: Control
    key: jax.Array

    def __repr__(self) -> str:  # sizes alone: the numbers may be millions, deleted or traced
        parts = ("params", "model_state", "opt_state", "averaged")
        listing = ", ".join(f"{part}: {outline(getattr(self, part))}" for part in parts)
        return f"TrainState({listing})"


def member_axes(state: TrainState) -> TrainState:
    """Say which leaves of a population's state have an axis of members.

    This is the one place that knows it. The result is a prefix of the state, for the `in_axes`
    and `out_axes` of `jax.vmap`: 0 where a leaf belongs to a member, None where all share it.

    Args:
      state: of one cohort: the members' leaves have the axis of members first.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> recipe = Recipe(nn.MLP((2,)), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> axes = member_axes(init_state(recipe, 0, {"x": jnp.ones((1, 4))}))
    >>> axes.params, axes.clock, axes.key
    (0, None, None)
    """
    return TrainState(
        clock=None,  # type: ignore[arg-type]
        knobs=0,
        params=0,
        model_state=0,
        opt_state=0,
        averaged=0,
        control=0,  # type: ignore[arg-type]
        key=0 if state.key.ndim else None,  # type: ignore[arg-type]
    )


def member_state(state: TrainState, row: Any) -> TrainState:
    """The state of one member, as that of a run alone.

    Args:
      state: whose members' leaves have the axis of members first.
      row: of the member.
    """

    def own(axis: int | None, below: Any) -> Any:
        return below if axis is None else jax.tree.map(lambda leaf: leaf[row], below)

    return jax.tree.map(own, member_axes(state), state, is_leaf=lambda node: node is None)


def fresh_control() -> Control:
    """The control of a run in which nothing was decided yet."""
    zero = jnp.zeros((), jnp.int32)
    return Control(
        scale=jnp.ones((), float),
        stop=jnp.zeros((), bool),
        updates=zero,
        skips=Skips(zero, zero, zero, zero),
        memory=(),
    )


def as_knobs(knobs: Any) -> Any:
    """Bring knobs to scalar arrays; traced ones stay as they are.

    Raises:
      ValueError, TypeError: a knob that is not one finite number.

    >>> as_knobs({"lr": 1})
    {'lr': Array(1., dtype=float32)}
    """

    def scalar(path: Any, knob: Any) -> Any:
        place = path_name(path)
        check_knob(f"knobs: {place}" if place else "knobs", knob)
        return jnp.asarray(knob, float) if is_concrete(knob) else knob

    return jax.tree_util.tree_map_with_path(scalar, knobs)


def check_state(state: Any) -> None:
    """Refuse a state that `init_state` did not make."""
    if not isinstance(state, TrainState):
        raise TypeError(
            f"state must be a TrainState, which jaxnn.train.init_state makes, got {state!r}"
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

    Raises:
      ValueError, TypeError: no recipe, no key, a batch that holds no arrays of numbers with a
        common first axis, or a knob that is not one finite number.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> recipe = Recipe(nn.MLP((3, 2)), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> state = init_state(recipe, 0, {"x": jnp.ones((1, 4))})
    >>> state.params["Dense_0"]["kernel"].shape
    (4, 3)
    """
    check_shapes("batch", batch)
    knobs = {} if knobs is None else as_knobs(knobs)
    built = build(recipe, knobs, jnp.zeros((), jnp.int32))
    assert built.optimizer is not None  # refused by Recipe
    key = as_key(key)
    params, model_state = init_variables(built, key, batch)
    averaged = None
    if built.average is not None:
        averaged = built.average.init({"params": params, "model_state": model_state})
    state = TrainState(
        clock=jnp.zeros((), jnp.int32),
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
