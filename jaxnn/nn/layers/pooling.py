"""Pooling as elementwise operations on shifted slices.

The gradient that JAX derives for `reduce_window` is the slowest part of a small network on
CPU. A maximum of slices has for gradient a few selections, which the compiler fuses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp

from jaxnn.nn.layers.conv import Padding, Window, padding_pairs, window_pair

__all__ = ["avg_pool", "global_avg_pool", "max_pool"]


def max_pool(
    x: jax.Array, window_shape: Window, strides: Window = 1, padding: Padding = "VALID"
) -> jax.Array:
    """The largest entry under each window, channel by channel.

    Of several that are the largest, the first (row by row) receives the gradient.

    Args:
      x: (n, h, w, channels).
      window_shape: of the window, a number for both axes or a pair.
      strides: step of the window. 1, as in Flax; PyTorch and Keras take the window's own size.
      padding: see `jaxnn.nn.conv`. The padding is never the largest.

    Returns:
      (n, h', w', channels) of `x`'s dtype. A window with a NaN gives NaN.

    Raises:
      ValueError: a shape, window or padding that does not fit.

    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, strides=2)[0, ..., 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)

    Source: lecture S; LeCun et al. 1998.
    """
    _check(x)
    inexact = jnp.issubdtype(x.dtype, jnp.inexact)
    lowest = -jnp.inf if inexact else jnp.iinfo(x.dtype).min
    return _pool(_first_larger, x, lowest, window_shape, strides, padding)


def avg_pool(
    x: jax.Array,
    window_shape: Window,
    strides: Window = 1,
    padding: Padding = "VALID",
    *,
    count_include_pad: bool = True,
) -> jax.Array:
    """The mean of the entries under each window, channel by channel.

    Args:
      x: (n, h, w, channels), floating.
      window_shape: of the window, a number for both axes or a pair.
      strides: step of the window. 1, as in Flax; PyTorch and Keras take the window's own size.
      padding: see `jaxnn.nn.conv`.
      count_include_pad: whether the zeros of the padding count as entries, as in Flax and
        PyTorch; False as in Keras.

    Returns:
      (n, h', w', channels) of `x`'s dtype.

    Raises:
      ValueError: a shape, window or padding that does not fit.

    >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> avg_pool(x, 2, padding="SAME", count_include_pad=False)[0, ..., 0]
    Array([[2.5, 3. ],
           [3.5, 4. ]], dtype=float32)

    Source: lecture S.
    """
    _check(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise ValueError(f"x must be floating to have a mean, got {x.dtype}")
    # Summed in float32 at least: bfloat16 has 8 bits, which a window of 8×8 uses up.
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = _pool(jnp.add, wide, 0, window_shape, strides, padding)
    if count_include_pad:
        height, width = window_pair("window_shape", window_shape)
        return (total / (height * width)).astype(x.dtype)
    ones = jnp.ones((1, *x.shape[1:3], 1), wide.dtype)
    return (total / _pool(jnp.add, ones, 0, window_shape, strides, padding)).astype(x.dtype)


def global_avg_pool(x: jax.Array) -> jax.Array:
    """The mean of each channel over the image: (n, h, w, channels) to (n, channels).

    >>> global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[3., 4.]], dtype=float32)

    Source: Lin et al. 2013.
    """
    _check(x)
    return x.mean((1, 2))


def _first_larger(a: jax.Array, b: jax.Array) -> jax.Array:
    # `jnp.maximum` would divide the gradient of a tie.
    return jnp.where((b > a) | jnp.isnan(b), b, a)


def _pool(
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    neutral: float,
    window_shape: Window,
    strides: Window,
    padding: Padding,
) -> jax.Array:
    """Combine the entries of each window: along the columns, then along the rows."""
    window = window_pair("window_shape", window_shape)
    steps = window_pair("strides", strides)
    pairs = padding_pairs(padding, x.shape[1:3], window, steps)
    if any(map(any, pairs)):
        x = jnp.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=neutral)
    for axis in (2, 1):
        extent, step = window[axis - 1], steps[axis - 1]
        count = (x.shape[axis] - extent) // step + 1
        slices = [
            jax.lax.slice_in_dim(x, i, i + (count - 1) * step + 1, step, axis)
            for i in range(extent)
        ]
        x = reduce(combine, slices)
    return x


def _check(x: jax.Array) -> None:
    if x.ndim != 4:
        raise ValueError(f"x must be images (n, h, w, channels), got shape {x.shape}")
