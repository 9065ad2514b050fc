"""Pooling as elementwise operations on shifted slices.

The gradient that JAX derives for `reduce_window` is the slowest part of a small network on
CPU. The gradient of a maximum over slices is a few selections, which the compiler fuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.nn.checks import numbers
from jaxnn.nn.layers.windows import (
    Padding,
    Window,
    check_spatial,
    padding_pairs,
    steps_of,
    window_of,
)

__all__ = ["avg_pool", "first_larger", "max_pool"]


def max_pool(
    x: jax.Array, window_shape: Window, strides: Window = 1, padding: Padding = "VALID"
) -> jax.Array:
    """Take the largest entry of each window, channel by channel.

    Among equal largest entries, the first (row by row) receives the gradient.

    Args:
      x: (…, spatial axes, channels).
      window_shape: size of the window. A tuple has one to three entries, one for each spatial
        axis: (2,) for sequences, (2, 2) for images, (2, 2, 2) for volumes, with or without axes
        of a batch in front. A single number stands for both axes of images, and `x` must then
        be (n, h, w, channels): with other inputs it would be ambiguous.
      strides: step of the window, one number or one for each spatial axis; 1 as in Flax. The
        default of PyTorch and Keras is the size of the window.
      padding: "SAME", "VALID", a number for all sides, or for each spatial axis a number or a
        pair (before, behind). Padding is never the largest entry.

    Returns:
      (…, spatial axes, channels) in the dtype of `x`. A window with a NaN gives NaN.

    Raises:
      ValueError: if the shape, window or padding does not fit.

    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, strides=2)[0, ..., 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)

    Source: lecture S; LeCun et al. 1998.
    """
    x = numbers("x", x)
    if x.dtype == bool:
        raise TypeError("x must hold numbers to have a largest, got Booleans")
    inexact = jnp.issubdtype(x.dtype, jnp.inexact)
    lowest = -jnp.inf if inexact else jnp.iinfo(x.dtype).min
    return _pool(first_larger, x, lowest, window_shape, strides, padding, alone=False)


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
      x: (…, spatial axes, channels) of a floating dtype.
      window_shape, strides, padding: see `max_pool`.
      count_include_pad: whether the zeros of the padding count as entries, as in Flax and
        PyTorch. False gives Keras' convention.

    Returns:
      (…, spatial axes, channels) in the dtype of `x`.

    Raises:
      ValueError: if the shape, window or padding does not fit, or `x` is not floating.

    >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    >>> avg_pool(x, 2, padding="SAME", count_include_pad=False)[0, ..., 0]
    Array([[2.5, 3. ],
           [3.5, 4. ]], dtype=float32)

    Source: lecture S.
    """
    check_flag("count_include_pad", count_include_pad)
    x = numbers("x", x)
    axes = check_spatial("window_shape", window_shape, x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise ValueError(f"x must be floating to have a mean, got {x.dtype}")
    # Sum in float32 or wider: a window of 8×8 already uses up the 8 bits of bfloat16.
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    total = _pool(jnp.add, wide, 0, window_shape, strides, padding)
    if count_include_pad:
        return (total / math.prod(window_of("window_shape", window_shape))).astype(x.dtype)
    ones = jnp.ones((*(1,) * (x.ndim - axes - 1), *x.shape[-axes - 1 : -1], 1), wide.dtype)
    count = _pool(jnp.add, ones, 0, window_shape, strides, padding, alone=False)
    return (total / count).astype(x.dtype)


def first_larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the larger entries, and those of `a` where both are equal; NaN is the largest.

    `jnp.maximum` would split the gradient between equal entries.
    """
    return jnp.where((b > a) | jnp.isnan(b), b, a)


def _pool(
    combine: Callable[[jax.Array, jax.Array], jax.Array],
    x: jax.Array,
    neutral: float,
    window_shape: Window,
    strides: Window,
    padding: Padding,
    *,
    alone: bool = True,
) -> jax.Array:
    """Combine the entries of each window, along one axis after the other, the last axis first.

    `alone` says whether a window may lie in the padding alone.
    """
    axes = check_spatial("window_shape", window_shape, x)
    window = window_of("window_shape", window_shape)
    steps = steps_of("strides", strides, axes)
    leading = x.ndim - axes - 1
    pairs = padding_pairs(padding, x.shape[leading:-1], window, steps)
    if not alone and any(max(pair) >= size for pair, size in zip(pairs, window, strict=True)):
        raise ValueError(
            f"padding must be less than the window, of shape {window}, since a window of padding "
            f"alone has no entry, got {pairs}"
        )
    if any(map(any, pairs)):
        x = jnp.pad(x, (*[(0, 0)] * leading, *pairs, (0, 0)), constant_values=neutral)
    for axis in reversed(range(axes)):
        extent, step = window[axis], steps[axis]
        count = (x.shape[leading + axis] - extent) // step + 1
        slices = [
            jax.lax.slice_in_dim(x, i, i + (count - 1) * step + 1, step, leading + axis)
            for i in range(extent)
        ]
        x = reduce(combine, slices)
    return x
