"""The sums that a metric returns, which are added over batches and divided once at the end.

A ragged last batch, padding and shards of any size therefore change nothing. Most metrics return
the pair (sum, count). A metric that is not a ratio of two sums returns an accumulator: a pytree
of arrays with a method `result`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp

from jaxnn.losses.inputs import as_real, check_weight

__all__ = [
    "Accumulator",
    "Metric",
    "Pair",
    "Sums",
    "add",
    "as_pair",
    "as_pairs",
    "axes_of_examples",
    "ratio",
    "result",
    "total",
    "weight_of",
    "weighted",
]

Pair = tuple[jax.Array, jax.Array]
"""The pair (sum, count) of two scalars."""


@runtime_checkable
class Accumulator(Protocol):
    """A registered pytree of arrays, such as a `flax.struct.dataclass`, that can be added.

    Two accumulators are added leaf by leaf, unless the class has a method `merge(other)`, which
    then adds them. An accumulator whose leaves are all 0 has counted nothing, and adding it
    changes nothing.
    """

    def result(self) -> jax.Array:
        """Return the metric's value, a scalar or an array."""
        ...


Sums = Pair | Accumulator
"""The sums that a metric returns: a pair or an accumulator."""

Metric = Callable[[Any, Any, Any], Sums]
"""The type of a metric: `(outputs, targets, weight) -> (sum, count)`, or an accumulator."""

_S = TypeVar("_S", bound=Sums)


def weighted(values: Any, weight: Any = None) -> Pair:
    r"""Compute the pair $(\sum_i w_i v_i, \sum_i w_i)$.

    Args:
      values: (n, …), such as (n,) or (n, tokens).
      weight: has the shape of the leading axes of `values`, such as (n,). None: all 1.

    Returns:
      Two scalars: the weighted sum, and the sum of the weights.

    Raises:
      TypeError: what is no real number.
      ValueError: the shape of `values` does not begin with that of the weight, or a concrete
        weight is negative, NaN or infinite, or has an infinite sum.

    >>> weighted(jnp.array([1.0, 2.0, 5.0]), jnp.array([1.0, 1.0, 0.0]))
    (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    values = as_real("values", values)
    # Sums and counts need float32: bfloat16 cannot count to 359, nor float16 to 70,000.
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    if weight is None:
        return values.sum(), jnp.asarray(values.size, values.dtype)
    weight = weight_of(values, weight)
    # Values of weight 0 may be anything, NaN included.
    return jnp.sum(jnp.where(weight > 0, values * weight, 0)), jnp.sum(weight)


def weight_of(values: jax.Array, weight: Any) -> jax.Array:
    """Return the weight of each entry of `values`, in the shape and dtype of `values`.

    Raises:
      ValueError: the shape of `values` does not begin with that of the weight, or a concrete
        weight is negative, NaN or infinite, or has an infinite sum.
    """
    if weight is None:
        return jnp.ones_like(values)
    weight = as_real("weight", weight)
    check_weight(weight, "losses", values.shape, values.dtype)
    weight = weight.astype(values.dtype).reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
    return jnp.broadcast_to(weight, values.shape)


def axes_of_examples(name: str, values: jax.Array, weight: Any) -> int:
    """Return how many leading axes of `values` are of examples: those of the weight, or 1.

    Raises:
      ValueError: `values`, or the weight, has no axis, or the weight has more axes.
    """
    if not values.ndim:
        raise ValueError(f"{name} must have an axis of examples, (n, …), got a single number")
    axes = 1 if weight is None else as_real("weight", weight).ndim
    if not 0 < axes <= values.ndim:
        raise ValueError(
            f"weight must have the axes of examples, 1 to {values.ndim} of them, got {axes}"
        )
    return axes


def ratio(pair: Pair) -> jax.Array:
    """Divide the sum by the count; NaN if nothing was counted, or if the count overflowed.

    >>> ratio((jnp.float32(3), jnp.float32(2)))
    Array(1.5, dtype=float32)
    >>> ratio((jnp.float32(0), jnp.float32(0)))
    Array(nan, dtype=float32)
    """
    total, count = _pair_of("pair", pair)
    # What was not measured has no value, least of all a good one such as a loss of 0.
    measured = (count > 0) & (count < jnp.inf)
    # The gradient is 0 there, and not 0 / 0.
    return jnp.where(measured, total / jnp.where(measured, count, 1), jnp.nan)


def _pair_of(name: str, value: Any) -> Pair:
    if isinstance(value, type) or not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be a pair (sum, count) or an accumulator, got {value!r}")
    total, count = (
        as_real(f"the sum of {name}", value[0]),
        as_real(f"the count of {name}", value[1]),
    )
    if total.shape != count.shape:
        raise ValueError(
            f"{name} must have a sum and a count of one shape, got {total.shape} and {count.shape}"
        )
    return total, count


def result(sums: Sums) -> jax.Array:
    """Compute a metric's value from its sums: a pair's ratio, or an accumulator's result.

    >>> result((jnp.float32(3), jnp.float32(2)))
    Array(1.5, dtype=float32)
    """
    return sums.result() if isinstance(sums, Accumulator) else ratio(_pair_of("sums", sums))


def add(a: _S, b: _S) -> _S:
    """Add the sums of two parts of the data.

    >>> add((jnp.float32(3), jnp.float32(2)), (jnp.float32(1), jnp.float32(1)))
    (Array(4., dtype=float32), Array(3., dtype=float32))
    """
    if jax.tree.structure(a) != jax.tree.structure(b):
        raise TypeError(f"a and b must be sums of one metric, got {a!r} and {b!r}")
    merge = getattr(a, "merge", None)
    return jax.tree.map(jnp.add, a, b) if merge is None else merge(b)


def total(stacked: _S) -> _S:
    """Add the sums of parts that are stacked along the leading axis of every leaf.

    The parts may be the micro-batches of a `scan`, or devices:
    `total(jax.lax.all_gather(sums, axis_name))` does for every kind of sums what `psum` does
    for pairs.

    >>> total((jnp.array([3.0, 1.0]), jnp.array([2.0, 1.0])))
    (Array(4., dtype=float32), Array(3., dtype=float32))
    """
    if not isinstance(stacked, Accumulator):
        _pair_of("stacked", stacked)
    stacked = jax.tree.map(partial(as_real, "stacked"), stacked)
    if not all(leaf.ndim for leaf in jax.tree.leaves(stacked)):
        raise ValueError("stacked must have the parts along its leading axis, got single numbers")
    if not hasattr(stacked, "merge"):
        return jax.tree.map(lambda leaf: leaf.sum(0), stacked)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), stacked)
    return jax.lax.scan(lambda sums, part: (add(sums, part), None), nothing, stacked)[0]


def as_pairs(metrics: Mapping[str, Any]) -> dict[str, Sums]:
    """Convert metrics to pairs (sum, count) or accumulators of float arrays.

    A bare scalar becomes a sum with a count of 1 per batch.

    Raises:
      TypeError: a metric is neither a scalar, nor a pair of scalars, nor an accumulator.

    >>> as_pairs({"penalty": 0.5})
    {'penalty': (Array(0.5, dtype=float32), Array(1., dtype=float32))}
    """
    return {name: _as_sums(name, metrics[name]) for name in sorted(metrics)}


def as_pair(name: str, value: Any) -> Pair:
    """Convert a scalar or a pair to a (sum, count) of float arrays; a scalar has a count of 1.

    Raises:
      TypeError: the value is neither a scalar nor a pair of scalars.
    """
    pair = value if isinstance(value, tuple) else (value, 1)
    if len(pair) != 2 or any(jnp.ndim(part) != 0 for part in pair):
        raise TypeError(
            f"metric {name!r} must be a scalar or a pair (sum, count), or have a method "
            f"result(), got {value}"
        )
    return jnp.asarray(pair[0], float), jnp.asarray(pair[1], float)


def _as_sums(name: str, value: Any) -> Sums:
    if not isinstance(value, Accumulator):
        return as_pair(name, value)
    if any(leaf is value for leaf in jax.tree.leaves(value)):
        raise TypeError(
            f"metric {name!r} must be a registered pytree, such as a flax.struct.dataclass, "
            f"got {value!r}"
        )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), value)
