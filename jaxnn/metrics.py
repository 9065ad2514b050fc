"""Metrics as pairs (sum, count), added over batches and divided once at the end.

So a ragged last batch, padding and shards of any size change nothing. A metric is a pure
function `(outputs, targets, weight) -> (sum, count)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Metric", "Pair", "accuracy", "as_pairs", "ratio", "weighted"]

Pair = tuple[jax.Array, jax.Array]
Metric = Callable[[Any, Any, jax.Array], Pair]


def weighted(values: jax.Array, weight: jax.Array | None = None) -> Pair:
    r"""The pair $(\sum_i w_i v_i, \sum_i w_i)$.

    Args:
      values: (n, …), such as (n,) or (n, tokens).
      weight: of the leading axes of `values`: (n,) or as far as its own axes go.
        None: all 1.

    Returns:
      Two scalars: the weighted sum, and the sum of the weights.

    Raises:
      ValueError: a weight whose shape does not begin like that of `values`.

    >>> weighted(jnp.array([1.0, 2.0, 5.0]), jnp.array([1.0, 1.0, 0.0]))
    (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    # Sums and counts in float32 at least: bfloat16 cannot count to 359, nor float16 to 70,000.
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    if weight is None:
        return values.sum(), jnp.asarray(values.size, values.dtype)
    if values.shape[: weight.ndim] != weight.shape:
        raise ValueError(
            f"weight must have the leading axes of the losses, {values.shape}, got {weight.shape}"
        )
    weight = weight.astype(values.dtype).reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
    weight = jnp.broadcast_to(weight, values.shape)
    # What does not count may be anything, NaN included.
    return jnp.sum(jnp.where(weight > 0, values * weight, 0)), jnp.sum(weight)


def ratio(pair: Pair) -> jax.Array:
    """Sum over count, and 0 where nothing was counted.

    >>> ratio((jnp.float32(3), jnp.float32(2)))
    Array(1.5, dtype=float32)
    """
    total, count = pair
    # A shard of a ragged batch may hold no real row: 0, and a gradient of 0, not NaN.
    return jnp.where(count > 0, total / jnp.where(count > 0, count, 1), 0)


def accuracy(logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> Pair:
    """How often the largest logit is the label's class.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest counts.
      weight: see `weighted`.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      ValueError: labels of another shape.

    >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    if labels.shape == logits.shape:
        labels = labels.argmax(-1)
    elif labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels must have shape {logits.shape[:-1]} (classes) or {logits.shape} "
            f"(probabilities), got {labels.shape}"
        )
    correct = (logits.argmax(-1) == labels).astype(jnp.float32)
    return weighted(correct, weight)


def as_pairs(metrics: Mapping[str, Any]) -> dict[str, Pair]:
    """Metrics in one form: (sum, count) of float arrays; a bare scalar counts once a batch.

    Raises:
      TypeError: a metric that is neither a scalar nor a pair of scalars.

    >>> as_pairs({"penalty": 0.5})
    {'penalty': (Array(0.5, dtype=float32), Array(1., dtype=float32))}
    """
    return {name: _as_pair(name, metrics[name]) for name in sorted(metrics)}


def _as_pair(name: str, value: Any) -> Pair:
    pair = value if isinstance(value, tuple) else (value, 1)
    if len(pair) != 2 or any(jnp.ndim(part) != 0 for part in pair):
        raise TypeError(f"metric {name!r} must be a scalar or a pair (sum, count), got {value}")
    total, count = pair
    return jnp.asarray(total, float), jnp.asarray(count, float)
