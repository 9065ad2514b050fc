"""The state of a population: made, laid out in cohorts, taken apart, and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.control.protocol import finish
from jaxnn.train.devices.compilation import quickly
from jaxnn.train.devices.transfer import fetch
from jaxnn.train.loop.roster import Roster
from jaxnn.train.step.state import TrainState, init_state, member_axes

__all__ = [
    "axes_of_members",
    "finished_states",
    "host_members",
    "laid_out",
    "make_states",
    "rows_of",
    "start_states",
    "with_rows",
]


def start_states(
    make_recipe: MakeRecipe, key: jax.Array, train: Any, knobs: Any, members: int
) -> TrainState:
    """The first state of every member, leaves of members (members, …).

    Args:
      make_recipe: of the recipe.
      key: () shared by all members, or (members,).
      train: training data, of which shapes and dtypes matter.
      knobs: pytree of (members,) arrays.
      members: how many there are.
    """
    rows = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), train)
    knobs = jax.tree.map(lambda column: jnp.asarray(column, float), knobs)
    return quickly(_made, (0, 4))(make_recipe, key, rows, knobs, members)


def make_states(
    make_recipe: MakeRecipe, key: jax.Array, rows: Any, knobs: Any, members: int
) -> TrainState:
    """`start_states` within a trace, from rows of any number."""
    knobs = jax.tree.map(lambda column: jnp.asarray(column, float), knobs)

    def one(key: jax.Array, knobs: Any) -> TrainState:
        return init_state(make_recipe, key, rows, knobs)

    # One after the other: mapped side by side, a scale that is a knob would be multiplied in
    # another order, and the weights would differ from those of a run alone in their last bit.
    if key.ndim:
        states = jax.lax.map(lambda own: one(*own), (key, knobs))
        return states.replace(clock=states.clock[0])
    states = jax.lax.map(lambda own: one(key, own), knobs)
    return states.replace(clock=states.clock[0], key=key)


_made = jax.jit(make_states, static_argnums=(0, 4))


def axes_of_members(state: TrainState) -> list[bool]:
    """For each leaf of a state, whether it belongs to a member."""
    flags = jax.tree.map(
        lambda axis, below: jax.tree.map(lambda _: axis is not None, below),
        member_axes(state),
        state,
        is_leaf=lambda node: node is None,
    )
    return jax.tree.leaves(flags)


def laid_out(
    states: TrainState, rows: np.ndarray, roster: Roster, cohorts: int, width: int
) -> TrainState:
    """Lay members out in cohorts; the places left over are copies that have stopped.

    Args:
      states: members' leaves are (members, …).
      rows: of the members of the roster, (of roster,).
      roster: where each of them lies.
      cohorts: of the result.
      width: of a cohort.
    """
    source = np.full(cohorts * width, rows[0])
    source[roster.slots] = rows
    empty = np.ones(cohorts * width, bool)
    empty[roster.slots] = False
    return _laid_out(states, source, empty, cohorts, width)


@partial(jax.jit, static_argnums=(3, 4))
def _laid_out(states: TrainState, source: Any, empty: Any, cohorts: int, width: int) -> TrainState:
    taken = _map_members(lambda leaf: leaf[source].reshape(cohorts, width, *leaf.shape[1:]), states)
    stop = taken.control.stop | empty.reshape(cohorts, width)
    return taken.replace(control=taken.control.replace(stop=stop))


def rows_of(state: TrainState, slots: np.ndarray) -> TrainState:
    """The members in these slots of cohorts, leaves (slots, …)."""
    return _rows_of(state, slots)


@jax.jit
def _rows_of(state: TrainState, slots: Any) -> TrainState:
    return _map_members(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[slots], state)


def with_rows(states: TrainState, members: Mapping[int, list[Any]]) -> TrainState:
    """Put members that were taken out before back in their rows; on the host."""
    flags, leaves = axes_of_members(states), jax.tree.leaves(states)
    own = [number for number, flag in enumerate(flags) if flag]
    for place, number in enumerate(own):
        leaf = leaves[number]
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.array(fetch(jax.random.key_data(leaf) if is_key else leaf))
        for row, kept in members.items():
            array[row] = kept[place]
        array = jnp.asarray(array)
        leaves[number] = (
            jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if is_key else array
        )
    return jax.tree.unflatten(jax.tree.structure(states), leaves)


def host_members(states: TrainState) -> list[list[Any]]:
    """The leaves of each member of (members, …), NumPy arrays; keys as their data."""
    flags = axes_of_members(states)
    own = [leaf for leaf, flag in zip(jax.tree.leaves(states), flags, strict=True) if flag]
    plain = [
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        for leaf in own
    ]
    arrays = fetch(plain)
    return [[array[row] for array in arrays] for row in range(len(arrays[0]))]


def finished_states(make_recipe: MakeRecipe, states: TrainState) -> TrainState:
    """The states that members hand back: each controller puts in place what it kept."""
    return _finished(make_recipe, states)


@partial(jax.jit, static_argnums=0)
def _finished(make_recipe: MakeRecipe, states: TrainState) -> TrainState:
    def one(state: TrainState) -> TrainState:
        return finish(build(make_recipe, state.knobs, state.clock), state)

    axes = member_axes(states)
    return jax.vmap(one, in_axes=(axes,), out_axes=axes)(states)


def _map_members(function: Any, states: TrainState) -> TrainState:
    def of_part(axis: int | None, below: Any) -> Any:
        return below if axis is None else jax.tree.map(function, below)

    return jax.tree.map(of_part, member_axes(states), states, is_leaf=lambda node: node is None)
