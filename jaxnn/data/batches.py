"""Mini-batches on the device: the order of each epoch, and the rows of each step.

All batches of an epoch have one shape, so that a single program serves them. The last one is
padded with rows of weight 0, so that a ragged end is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.data.shuffle import permutation
from jaxnn.keys import stream

__all__ = ["epoch_order", "in_order", "size", "steps_in", "take", "with_weight"]


def size(data: Any) -> int:
    """Count the examples of a batch pytree."""
    return jax.tree.leaves(data)[0].shape[0]


def steps_in(n: int, batch_size: int) -> int:
    """Count the batches of an epoch, the ragged one included.

    >>> steps_in(10, 4)
    3
    """
    return -(-n // batch_size)


def epoch_order(root: jax.Array, epoch: jax.Array, n: int, batch_size: int) -> jax.Array:
    """Shuffle the rows of an epoch, by the stream "shuffle".

    Args:
      root: the run's root key.
      epoch: scalar integer, traced or not, counted from 0.
      n: number of examples.
      batch_size: rows of a batch.

    Returns:
      int32 array (steps · batch_size,): a permutation of the n rows, then row 0 for the
      padding of the last batch.

    >>> epoch_order(jax.random.key(0), jnp.int32(0), n=5, batch_size=4).shape
    (8,)
    """
    return _padded(permutation(stream(root, "shuffle", epoch), n), batch_size)


def in_order(n: int, batch_size: int) -> jax.Array:
    """Return the rows unshuffled, padded as by `epoch_order`: for evaluation."""
    return _padded(jnp.arange(n), batch_size)


def _padded(order: jax.Array, batch_size: int) -> jax.Array:
    n = order.shape[0]
    missing = steps_in(n, batch_size) * batch_size - n
    return jnp.pad(order.astype(jnp.int32), (0, missing))


def take(
    data: Any,
    order: jax.Array,
    index: jax.Array,
    batch_size: int,
    share: Callable[[jax.Array], jax.Array] | None = None,
) -> Any:
    """Gather batch number `index` of an order, with its weights.

    Args:
      data: pytree of arrays (n, …) on the device.
      order: from `epoch_order` or `in_order`.
      index: scalar integer in [0, steps).
      batch_size: rows of a batch.
      share: selects one device's share of (batch_size,) values, padded with zeros; None takes
        all values.

    Returns:
      A pytree of arrays (batch_size, …), see `with_weight`.

    >>> data = {"x": jnp.arange(5.0)}
    >>> take(data, in_order(5, 4), jnp.int32(1), 4)["weight"]
    Array([1., 0., 0., 0.], dtype=float32)
    """
    start = index * batch_size
    rows = jax.lax.dynamic_slice(order, (start,), (batch_size,))
    real = start + jnp.arange(batch_size) < size(data)
    if share is not None:
        rows, real = share(rows), share(real)
    batch = jax.tree.map(lambda leaf: leaf.at[rows].get(mode="promise_in_bounds"), data)
    return with_weight(batch, real)


def with_weight(batch: Any, real: jax.Array) -> Any:
    """Give a dict batch its "weight", 0 for rows that are padding.

    Args:
      batch: pytree of arrays (batch_size, …). A "weight" of its own, per example or per
        token, is kept for the real rows. A batch that is no dict is returned unchanged:
        `jaxnn.fit` accepts one only where every row is real.
      real: (batch_size,) booleans.

    Returns:
      The batch.
    """
    if not isinstance(batch, Mapping):
        return batch
    weight = batch.get("weight")
    if weight is None:
        weight = real.astype(float)
    else:
        weight = jnp.where(real.reshape(real.shape + (1,) * (weight.ndim - 1)), weight, 0)
    return {**batch, "weight": weight}
