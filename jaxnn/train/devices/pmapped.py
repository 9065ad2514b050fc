"""The classic per-device program: `pmap` over the devices, each with its share of the batch.

The state is the same on every device. Gradients, metrics and batch statistics are summed over
the axis of devices, and divided once by the sum of the weights, so that a device with fewer
real rows than the others, or none, counts for as much as it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.data.batches import size, with_weight
from jaxnn.metrics import Sums
from jaxnn.recipe import MakeRecipe, Recipe
from jaxnn.train.devices.choose import place_on
from jaxnn.train.devices.placement import DATA, Placement
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import train_step

__all__ = ["pmap_step"]


def pmap_step(
    recipe: Recipe | MakeRecipe, *, accumulate: int = 1, fold_device_index: bool = True
) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, Sums]]]:
    """A training step over all devices by `pmap`, for a loop of one's own.

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`.
      accumulate: parts in which each device takes its rows; it divides the batch.
      fold_device_index: whether draws have the index of the device in their address. Without
        it every device draws the same.

    Returns:
      `(state, batch) -> (state, metrics)`. The state is a plain one, without an axis of
      devices, such as `init_state` makes. The batch is a plain one too, a dict of (n, …) for
      any n: it is filled up with rows of weight 0 and split. Metrics are (sum, count) pairs
      of the whole batch. A bare scalar that an objective measures is averaged over devices.

    Raises:
      ValueError: a batch that is no dict and does not divide by the devices.

    >>> from jaxnn import Recipe, losses, nn, optim
    >>> from jaxnn.train import init_state
    >>> recipe = Recipe(nn.MLP((1,)), losses.squared_error, optim.sgd(0.1))
    >>> batch = {"x": jnp.ones((6, 2)), "y": jnp.ones((6, 1))}
    >>> step, state = pmap_step(recipe), init_state(recipe, 0, batch)
    >>> for _ in range(30):
    ...     state, metrics = step(state, batch)
    >>> float(metrics["loss"][0] / metrics["loss"][1]) < 1e-6
    True
    """
    accumulate = check_positive_int("accumulate", accumulate)
    placement = place_on("pmap")
    assert placement is not None  # a way was named
    placement = replace(placement, fold_device_index=fold_device_index)

    @partial(
        jax.pmap,
        axis_name=DATA,
        in_axes=(None, 0),
        out_axes=None,
        devices=tuple(placement.mesh.devices.flat),
    )
    def mapped(state: TrainState, batch: Any) -> Any:
        with placement.current():
            return train_step(recipe, state, batch, accumulate)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Sums]]:
        return mapped(state, _shares(placement, accumulate, batch))

    return step


def _shares(placement: Placement, accumulate: int, batch: Any) -> Any:
    """A batch with an axis of devices before its rows, as many for each."""
    rows = size(batch)
    if rows % accumulate:
        raise ValueError(f"accumulate must divide the {rows} rows of a batch, got {accumulate}")
    if not isinstance(batch, Mapping) and rows // accumulate % placement.count:
        raise ValueError(
            f"a batch that is no dict must divide by the {placement.count} devices, since it has "
            f"no place for the weights of padding, got {rows} rows"
        )
    each = placement.rows(rows // accumulate)

    def split(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf)
        parts = leaf.reshape(accumulate, -1, *leaf.shape[1:])
        missing = each * placement.count - parts.shape[1]
        parts = jnp.pad(parts, ((0, 0), (0, missing), *[(0, 0)] * (leaf.ndim - 1)))
        apart = parts.reshape(accumulate, placement.count, each, *leaf.shape[1:])
        return apart.swapaxes(0, 1).reshape(placement.count, -1, *leaf.shape[1:])

    return jax.tree.map(split, with_weight(batch, jnp.ones(rows, bool)))
