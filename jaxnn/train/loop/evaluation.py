"""Evaluate a data set: sums over batches in their order, divided once."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.data.batches import in_order, size, steps_in, take
from jaxnn.metrics import Sums, add, result
from jaxnn.recipe import MakeRecipe
from jaxnn.train.devices.placement import Placement
from jaxnn.train.step.state import TrainState, member_axes
from jaxnn.train.step.step import eval_step

__all__ = ["added", "evaluate", "metric_sums", "results"]

# Jitted inside jitted functions: one trace serves all that evaluate.
_eval_step = partial(jax.jit, static_argnums=0, inline=True)(eval_step)


def added(a: dict[str, Sums], b: dict[str, Sums]) -> dict[str, Sums]:
    """Add the sums of two parts of a data set."""
    return {name: add(a[name], b[name]) for name in a}


def results(sums: dict[str, Sums]) -> dict[str, jax.Array]:
    """Each metric's value."""
    return {name: result(of_metric) for name, of_metric in sums.items()}


def metric_sums(
    make_recipe: MakeRecipe,
    batch_size: int,
    placement: Placement | None,
    state: Any,
    data: Any,
    first: Any = 0,
) -> dict[str, Sums]:
    """Sum a data set's metrics over its batches, which are numbered from `first`."""
    order = in_order(size(data), batch_size)

    def metrics_of(index: jax.Array) -> dict[str, Sums]:
        index = index.astype(jnp.int32)  # the loop's is weakly typed, which is another trace
        batch = take(data, order, index, batch_size)
        if placement is not None:
            batch = placement.split(batch)
        return _eval_step(make_recipe, state, batch, first + index)

    # The first batch is computed before the loop, which gives the sums their types.
    return jax.lax.fori_loop(
        1,
        steps_in(size(data), batch_size),
        lambda index, sums: added(sums, metrics_of(index)),
        metrics_of(jnp.int32(0)),
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def evaluate(
    make_recipe: MakeRecipe,
    batch_size: int,
    placement: Placement | None,
    state: TrainState,
    data: Any,
    first: jax.Array,
    before: dict[str, Sums] | None,
) -> tuple[dict[str, Sums], dict[str, jax.Array]]:
    """Compute the metrics of a data set, or of one more part of it.

    Args:
      make_recipe: of the recipe.
      batch_size: rows computed at once.
      placement: of several devices, or None.
      state: to evaluate; of a population members' leaves are (members, …).
      data: pytree of arrays (n, …).
      first: () int32, the number of the first batch.
      before: the sums of the parts before, or None.

    Returns:
      The sums so far, and the values that they give, of a population (members, …).
    """

    def of(state: TrainState) -> dict[str, Sums]:
        return metric_sums(make_recipe, batch_size, placement, state, data, first)

    several = bool(state.control.stop.ndim)
    sums = jax.vmap(of, in_axes=(member_axes(state),))(state) if several else of(state)
    if before is not None:
        sums = added(before, sums)
    found = (sums, jax.vmap(results)(sums) if several else results(sums))
    return found if placement is None else placement.everywhere(found)
