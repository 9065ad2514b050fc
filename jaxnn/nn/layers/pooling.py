"""Pooling as elementwise operations on shifted slices.

The gradient that JAX derives for `reduce_window` is the slowest part of a small network on
CPU. The gradient of a maximum over slices is a few selections, which the compiler fuses.
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
    """Take the largest entry of each window, channel by channel.

    Among equal largest entries, the first (row by row) receives the gradient.

    Args:
      x: images (n, h, w, channels).
      window_shape: size of the window in pixels, a number for both axes or a pair.
      strides: step of the window in pixels; 1 as in Flax. The default of PyTorch and Keras is
        the size of the window.
      padding: see `jaxnn.nn.conv`. Padding is never the largest entry.

    Returns:
      (n, h', w', channels) in the dtype of `x`. A window with a NaN gives NaN.

    Raises:
      ValueError: if the shape, window or padding does not fit.

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
    """Average the entries of each window, channel by channel.

    Args:
      x: images (n, h, w, channels) of a floating dtype.
      window_shape: size of the window in pixels, a number for both axes or a pair.
      strides: step of the window in pixels; 1 as in Flax. The default of PyTorch and Keras is
        the size of the window.
      padding: see `jaxnn.nn.conv`.
      count_include_pad: whether the zeros of the padding count as entries, as in Flax and
        PyTorch. False gives Keras' convention.

    Returns:
      (n, h', w', channels) in the dtype of `x`.

    Raises:
      ValueError: if the shape, window or padding does not fit, or `x` is not floating.

    >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> avg_pool(x, 2, padding="SAME", count_include_pad=False)[0, ..., 0]
    Array([[2.5, 3. ],
           [3.5, 4. ]], dtype=float32)

    Source: lecture S.
    """
    _check(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise ValueError(f"x must be floating to have a mean, got {x.dtype}")
    # Sum in float32 or wider: a window of 8×8 already uses up the 8 bits of bfloat16.
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = _pool(jnp.add, wide, 0, window_shape, strides, padding)
    if count_include_pad:
        height, width = window_pair("window_shape", window_shape)
        return (total / (height * width)).astype(x.dtype)
    ones = jnp.ones((1, *x.shape[1:3], 1), wide.dtype)
    return (total / _pool(jnp.add, ones, 0, window_shape, strides, padding)).astype(x.dtype)


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Average each channel over the image: (n, h, w, channels) to (n, channels).

    >>> global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[3., 4.]], dtype=float32)

    Source: Lin et al. 2013.
    """
    _check(x)
    return x.mean((1, 2))


def _first_larger(a: jax.Array, b: jax.Array) -> jax.Array:
    # `jnp.maximum` would split the gradient between equal entries.
    return jnp.where((b > a) | jnp.isnan(b), b, a)


def _pool(
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    neutral: float,
    window_shape: Window,
    strides: Window,
    padding: Padding,
) -> jax.Array:
    """Combine the entries of each window, first along the columns, then along the rows."""
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
