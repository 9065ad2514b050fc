"""The state of a population: made, laid out in cohorts, taken apart, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    "laid_out",
    "make_states",
    "rows_of",
    "start_states",
    "taken_from",
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

    It is done on the host: the numbers of those that stay differ from rung to rung, and every
    number would be compiled anew.

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
    taken = _map_members(lambda leaf: leaf[source].reshape(cohorts, width, *leaf.shape[1:]), states)
    stop = taken.control.stop | empty.reshape(cohorts, width)
    return taken.replace(control=taken.control.replace(stop=stop))


def rows_of(state: TrainState, slots: np.ndarray) -> TrainState:
    """The members in these slots of cohorts, leaves (slots, …) on the host."""
    return _map_members(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[slots], state)


def taken_from(states: TrainState, rows: np.ndarray) -> TrainState:
    """The members in these rows of (members, …), on the host."""
    return _map_members(lambda leaf: leaf[rows], states)


def with_rows(states: TrainState, members: Mapping[int, TrainState]) -> TrainState:
    """Put members that were taken out before back in their rows, on the host.

    Args:
      states: members' leaves are (members, …).
      members: by row, states as `member_state` gives them.
    """
    if not members:
        return states
    rows = list(members)
    kept = [_arrays(jax.tree.leaves(state), states) for state in members.values()]
    number = iter(range(len(kept[0])))

    def with_own(leaf: np.ndarray) -> np.ndarray:
        leaf, place = leaf.copy(), next(number)
        leaf[rows] = np.stack([arrays[place] for arrays in kept])
        return leaf

    return _map_members(with_own, states)


def finished_states(make_recipe: MakeRecipe, states: TrainState) -> TrainState:
    """The states that members hand back: each controller puts in place what it kept."""
    return _finished(make_recipe, states)


@partial(jax.jit, static_argnums=0)
def _finished(make_recipe: MakeRecipe, states: TrainState) -> TrainState:
    def one(state: TrainState) -> TrainState:
        return finish(build(make_recipe, state.knobs, state.clock), state)

    axes = member_axes(states)
    return jax.vmap(one, in_axes=(axes,), out_axes=axes)(states)


def _map_members(function: Callable[[np.ndarray], np.ndarray], states: TrainState) -> TrainState:
    """Apply a function of a NumPy array to each leaf of the members."""
    leaves = jax.tree.leaves(states)
    arrays = iter(_arrays(leaves, states))
    new = [
        _like(leaf, function(next(arrays))) if own else leaf
        for leaf, own in zip(leaves, axes_of_members(states), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(states), new)


def _arrays(leaves: list[Any], states: TrainState) -> list[np.ndarray]:
    """Those of the leaves that belong to members as NumPy arrays, fetched at once."""
    of_members = [
        jax.random.key_data(leaf) if _is_key(leaf) else leaf
        for leaf, own in zip(leaves, axes_of_members(states), strict=True)
        if own
    ]
    return [np.asarray(leaf) for leaf in fetch(of_members)]


def _like(leaf: Any, array: np.ndarray) -> Any:
    if not _is_key(leaf):
        return array
    return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
