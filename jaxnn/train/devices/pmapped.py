"""`pmap_step`: the classic `jax.pmap` over devices, each with its share of the batch.

The state is the same on every device. Gradients, metrics and batch statistics are summed over
the axis of devices, and divided once by the sum of the weights. So the result is exact where a
device has fewer real rows than the others, or none. `fit(devices="pmap")` runs the same program
per device, compiled with its loop by `jax.shard_map`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.data.batches import with_weight
from jaxnn.data.shapes import check_shapes
from jaxnn.metrics import Sums
from jaxnn.recipe import MakeRecipe, Recipe, as_maker
from jaxnn.train.devices.choose import place_on
from jaxnn.train.devices.placement import DATA, Placement
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import train_step

__all__ = ["pmap_step"]


def pmap_step(
    recipe: Recipe | MakeRecipe, *, accumulate: int = 1, fold_device_index: bool = True
) -> Callable[[TrainState, Any], tuple[TrainState, dict[str, Sums]]]:
    """Make a training step over all devices by `jax.pmap`, for a loop of your own.

    Args:
      recipe: a recipe, or `make_recipe` for `state.knobs`.
      accumulate: the number of micro-batches; it divides the batch.
      fold_device_index: whether draws have the index of the device in their address. Without
        it every device makes the same draws.

    Returns:
      `(state, batch) -> (state, metrics)`. The state has no axis of devices; `init_state`
      makes it. The batch has none either: it is a dict of arrays (n, …) for any n, which is
      padded with rows of weight 0 and split. Metrics are (sum, count) pairs of the whole batch.
      A bare scalar that an objective measures is averaged over the devices.

    Raises:
      TypeError: no recipe, or a batch with a leaf that is no array of numbers.
      ValueError: arrays of different lengths, or a batch that is no dict and does not divide
        by the devices.

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
    recipe = as_maker(recipe)
    accumulate = check_positive_int("accumulate", accumulate)
    fold_device_index = check_flag("fold_device_index", fold_device_index)
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
    """Split a batch into equal shares, with an axis of devices before the rows."""
    rows = check_shapes("batch", batch)
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
