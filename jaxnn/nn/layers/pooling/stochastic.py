"""Stochastic pooling: draw one entry of each window, in proportion to its size."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate, pairwise, product
from operator import add
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_text
from jaxnn.keys import as_key
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.layers.draws import uniform_bits
from jaxnn.nn.layers.windows import (
    Padding,
    Window,
    check_spatial,
    padding_pairs,
    steps_of,
    window_of,
)

__all__ = ["StochasticPool", "stochastic_pool", "stochastic_pool_mean"]


def stochastic_pool(
    key: Any, x: jax.Array, window_shape: Window, strides: Window = 1, padding: Padding = "VALID"
) -> jax.Array:
    r"""Draw one entry of each window and channel, with probability proportional to the entry.

    $$p_i = \frac{a_i}{\sum_j a_j}, \qquad y = a_l, \quad l \sim (p_1, \dots, p_k)$$

    where a are activations behind a ReLU. Entries below 0 count as 0 and are never drawn. The
    gradient goes to the drawn entry. A window without a positive entry gives 0.

    Args:
      key: a key, see `jaxnn.keys.as_key`.
      x: (…, spatial axes, channels) of a floating dtype.
      window_shape, strides: see `max_pool`. The paper uses strides of 2, with windows of 3.
      padding: see `max_pool`. Padding is 0, so it is never drawn.

    Returns:
      (…, spatial axes, channels) in the dtype of `x`. A window with a NaN or ∞ gives NaN.

    Raises:
      ValueError: if the shape, window or padding does not fit, or `x` is not floating.

    >>> x = jnp.array([[1.0, 0.0], [0.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> [float(stochastic_pool(key, x, 2)[0, 0, 0, 0]) for key in range(8)]
    [3.0, 3.0, 3.0, 1.0, 3.0, 3.0, 3.0, 3.0]

    Source: Zeiler and Fergus 2013; lecture L.
    """
    entries = _entries(x, window_shape, strides, padding)
    sizes = [_size(jax.lax.stop_gradient(entry)) for entry in entries]
    # Each entry owns an interval of its own size; a uniform point in their union draws the entry.
    bounds = [jnp.zeros_like(sizes[0]), *accumulate(sizes, add)]
    total = bounds[-1]
    bits = uniform_bits(as_key(key), total.shape)
    point = (bits >> 8).astype(total.dtype) * 2.0**-24 * total
    y = jnp.zeros_like(entries[0])
    for entry, (start, end) in zip(entries, pairwise(bounds), strict=True):
        y = jnp.where((start <= point) & (point < end), entry, y)
    return jnp.where(jnp.isfinite(total), y, jnp.nan)


def stochastic_pool_mean(
    x: jax.Array, window_shape: Window, strides: Window = 1, padding: Padding = "VALID"
) -> jax.Array:
    r"""Compute the mean of `stochastic_pool`, for evaluation: $y = \sum_i p_i a_i$.

    Args:
      x: (…, spatial axes, channels) of a floating dtype.
      window_shape, strides, padding: see `max_pool`.

    Returns:
      (…, spatial axes, channels) in the dtype of `x`.

    Raises:
      ValueError: if the shape, window or padding does not fit, or `x` is not floating.

    >>> x = jnp.array([[1.0, 0.0], [0.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> stochastic_pool_mean(x, 2)[0, 0, 0]  # 1/4 · 1 + 3/4 · 3
    Array([2.5], dtype=float32)

    Source: Zeiler and Fergus 2013; lecture L.
    """
    sizes = [_size(entry) for entry in _entries(x, window_shape, strides, padding)]
    total = reduce(add, sizes)
    # Divide first, since the square of a size could overflow.
    divisor = jnp.where(total == 0, 1, total)
    return reduce(add, (size / divisor * size for size in sizes)).astype(x.dtype)


class StochasticPool(nn.Module):
    """`stochastic_pool` in training and `stochastic_pool_mean` in evaluation, as a layer.

    Attributes:
      window_shape, strides, padding: see `max_pool`.
      rng_collection: name of the stream from which training draws.

    >>> StochasticPool(2, strides=2).apply({}, jnp.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    window_shape: Window
    strides: Window = 1
    padding: Padding = "VALID"
    rng_collection: str = "dropout"

    def __post_init__(self) -> None:
        window = window_of("window_shape", self.window_shape)
        steps_of("strides", self.strides, len(window))
        check_text("rng_collection", self.rng_collection)
        super().__post_init__()

    @checked_inputs()
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if not check_flag("train", train):
            return stochastic_pool_mean(x, self.window_shape, self.strides, self.padding)
        key = self.make_rng(self.rng_collection)
        return stochastic_pool(key, x, self.window_shape, self.strides, self.padding)


def _size(entry: jax.Array) -> jax.Array:
    """Turn entries into probabilities that are not yet normalized."""
    # Sums in bfloat16 would lose small entries. At 0, relu's gradient is 0; that of maximum is ½.
    return jax.nn.relu(entry.astype(jnp.promote_types(entry.dtype, jnp.float32)))


def _entries(
    x: jax.Array, window_shape: Window, strides: Window, padding: Padding
) -> list[jax.Array]:
    """List the entries by their place in the window, each in the shape of the outputs."""
    x = numbers("x", x)
    axes = check_spatial("window_shape", window_shape, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be floating, got {x.dtype}")
    window = window_of("window_shape", window_shape)
    steps = steps_of("strides", strides, axes)
    leading = x.ndim - axes - 1
    pairs = padding_pairs(padding, x.shape[leading:-1], window, steps)
    x = jnp.pad(x, (*[(0, 0)] * leading, *pairs, (0, 0)))
    before, sizes = x.shape[:leading], x.shape[leading:-1]
    lasts = [size - extent + 1 for size, extent in zip(sizes, window, strict=True)]
    return [
        jax.lax.slice(
            x,
            (*[0] * leading, *place, 0),
            (*before, *(last + at for last, at in zip(lasts, place, strict=True)), x.shape[-1]),
            (*[1] * leading, *steps, 1),
        )
        for place in product(*map(range, window))
    ]
