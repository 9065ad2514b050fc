"""The axis of members inside the loop: cohorts of a fixed width, one after the other.

The state of a population has its members' leaves as (cohorts, width, …). A compiled function
loops over the live cohorts, and within a cohort a function of one member is mapped over the
width. The clock, the root key and the batch have no axis of members, so that what all members
share (the order of rows, the gathered batch, the draws) is computed once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jaxnn.train.step.state import TrainState, member_axes

__all__ = ["MEMBERS", "cohorts_for", "each_cohort", "over_members", "select_members", "spread"]

MEMBERS = "members"  # the mesh axis that cohorts are spread over


def cohorts_for(members: int, width: int) -> int:
    """The number of cohorts that a population's arrays have room for, at least two.

    Where the axis of cohorts has length one the compiler removes it and may lay out a matrix
    product in another way, which changes bits. A second cohort that is never live prevents it.

    >>> cohorts_for(5, width=3), cohorts_for(2, width=3), cohorts_for(9, width=3)
    (2, 2, 3)
    """
    return max(2, -(-members // width))


def over_members(
    function: Callable[..., Any], state: TrainState, *, shared: int, own: int = 0
) -> Any:
    """Map a function of one member over the members of a cohort.

    Args:
      function: `(state, tally, *own, *shared) -> (state, anything)`.
      state: of the cohort; says which leaves are mapped.
      shared: the number of arguments that all members share.
      own: the number of arguments before them that have an axis of members.
    """
    axes = member_axes(state)
    return jax.vmap(function, in_axes=(axes, 0, *[0] * own, *[None] * shared), out_axes=(axes, 0))


def spread(
    function: Callable[[TrainState, Any, Any, jax.Array], tuple[TrainState, Any]],
    mesh: Mesh | None,
) -> Callable[[TrainState, Any, Any, jax.Array], tuple[TrainState, Any]]:
    """Let each device of a mesh run a function on its own cohorts; nothing communicates.

    Args:
      function: `(state, carried, shared, live) -> (state, result)` of cohorts, whose members'
        leaves are (cohorts, width, …) in state, carried and result; `live` is () int32.
      mesh: with the axis "members"; None: one device, and the function itself.

    Returns:
      The function of the cohorts of all devices, with `live` as (devices,).
    """
    if mesh is None:
        return function

    def of_device(state: TrainState, carried: Any, shared: Any, live: jax.Array) -> Any:
        return function(state, carried, shared, live[0])

    def of_all(state: TrainState, carried: Any, shared: Any, live: jax.Array) -> Any:
        own, whole = PartitionSpec(MEMBERS), PartitionSpec()
        states = jax.tree.map(
            lambda axis: whole if axis is None else own,
            member_axes(state),
            is_leaf=lambda node: node is None,
        )
        return jax.shard_map(
            of_device,
            mesh=mesh,
            in_specs=(states, own, whole, own),
            out_specs=(states, own),
            check_vma=False,
        )(state, carried, shared, live)

    return of_all


def each_cohort(
    function: Callable[[TrainState, Any], tuple[TrainState, Any]],
    live: jax.Array,
    state: TrainState,
    carried: Any,
    like: Any = None,
) -> tuple[TrainState, Any]:
    """Run a function on one live cohort after the other.

    All cohorts begin at the clock of `state`, which is also the clock of the result.

    Args:
      function: `(state, carried) -> (state, result)` of one cohort.
      live: () int32, the number of live cohorts, which come first.
      state: of all cohorts; leaves of members are (cohorts, width, …).
      carried: pytree of (cohorts, width, …), which the function reads.
      like: a tree that the results replace, (cohorts, width, …); None: `carried`.

    Returns:
      The state and the results; cohorts that are not live keep what they had.
    """

    def body(i: jax.Array, carry: tuple[list[Any], Any]) -> tuple[list[Any], Any]:
        leaves, results = carry
        given = results if like is None else carried
        # Barriers keep the compiler from fusing a cohort's arithmetic with its place in memory,
        # so that its bits do not depend on how many cohorts there are.
        one = jax.lax.optimization_barrier(
            ([leaf[i] for leaf in leaves], jax.tree.map(lambda leaf: leaf[i], given))
        )
        new, result = jax.lax.optimization_barrier(function(_with_members(state, one[0]), one[1]))
        leaves = [
            leaf.at[i].set(of_cohort) for leaf, of_cohort in zip(leaves, _members(new), strict=True)
        ]
        return leaves, jax.tree.map(lambda all_, one: all_.at[i].set(one), results, result)

    start = (_members(state), carried if like is None else like)
    leaves, results = jax.lax.fori_loop(0, live, body, start)
    return _with_members(state, leaves), results


def select_members(stopped: jax.Array, old: Any, new: Any) -> Any:
    """Keep the old values of the members that have stopped.

    Args:
      stopped: (width,) bool.
      old: pytree of (width, …).
      new: like `old`.
    """

    def select(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(stopped.reshape(stopped.shape + (1,) * (b.ndim - 1)), a, b)

    return jax.tree.map(select, old, new)


def _members(state: TrainState) -> list[Any]:
    """The leaves that belong to members."""
    flags = _belongs_to_a_member(state)
    return [leaf for leaf, own in zip(jax.tree.leaves(state), flags, strict=True) if own]


def _with_members(state: TrainState, leaves: list[Any]) -> TrainState:
    """The state with other leaves of its members."""
    flags, given = _belongs_to_a_member(state), iter(leaves)
    replaced = [
        next(given) if own else leaf
        for leaf, own in zip(jax.tree.leaves(state), flags, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(state), replaced)


def _belongs_to_a_member(state: TrainState) -> list[bool]:
    """For each leaf of the state, whether it has an axis of members."""
    flags = jax.tree.map(
        lambda axis, below: jax.tree.map(lambda _: axis is not None, below),
        member_axes(state),
        state,
        is_leaf=lambda node: node is None,
    )
    return jax.tree.leaves(flags)
