"""Pooling over all spatial axes at once."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice
from jaxnn.nn.checks import numbers

__all__ = ["global_avg_pool", "global_max_pool"]


def global_avg_pool(x: jax.Array, *, spatial_axes: int | None = None) -> jax.Array:
    """Average each channel over the image: (n, h, w, channels) to (n, channels).

    Args:
      x: images; or, where `spatial_axes` is given, (…, so many spatial axes, channels).
      spatial_axes: 1 for sequences, 2 for images, 3 for volumes, with or without axes of a batch
        in front. None: `x` must be images (n, h, w, channels).

    Returns:
      (…, channels).

    Raises:
      ValueError: if `x` has other axes.

    >>> global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[3., 4.]], dtype=float32)
    >>> global_avg_pool(jnp.arange(8.0).reshape(2, 2, 2), spatial_axes=1)
    Array([[1., 2.],
           [5., 6.]], dtype=float32)

    Source: Lin et al. 2013.
    """
    x = numbers("x", x)
    return x.mean(_axes(x, spatial_axes))


def global_max_pool(x: jax.Array, *, spatial_axes: int | None = None) -> jax.Array:
    """Take the largest entry of each channel over the image: (n, h, w, channels) to (n, channels).

    Among equal largest entries, the first receives the gradient, as in `max_pool`. A channel with
    a NaN gives NaN.

    Args:
      x: images; or, where `spatial_axes` is given, (…, so many spatial axes, channels).
      spatial_axes: see `global_avg_pool`.

    Returns:
      (…, channels).

    Raises:
      ValueError: if `x` has other axes, or a spatial axis is empty.

    >>> global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[6., 7.]], dtype=float32)

    Source: Oquab et al. 2015.
    """
    x = numbers("x", x)
    axes = _axes(x, spatial_axes)
    if not math.prod(x.shape[axis] for axis in axes):
        raise ValueError(f"x must have entries to take the largest of, got shape {x.shape}")
    entries = x.reshape(*x.shape[: axes[0]], -1, x.shape[-1])
    largest = jnp.argmax(jax.lax.stop_gradient(entries), axis=-2, keepdims=True)
    place = jax.lax.broadcasted_iota(largest.dtype, entries.shape, entries.ndim - 2)
    return jnp.where(place == largest, entries, jnp.zeros((), x.dtype)).sum(-2, dtype=x.dtype)


def _axes(x: jax.Array, spatial_axes: int | None) -> tuple[int, ...]:
    if spatial_axes is None:
        if x.ndim != 4:
            raise ValueError(
                f"x must be images (n, h, w, channels), got shape {x.shape}; for other inputs "
                "spatial_axes= says how many of the axes before the channels are pooled"
            )
        spatial_axes = 2
    if isinstance(spatial_axes, bool):
        raise TypeError(f"spatial_axes must be 1, 2 or 3, got {spatial_axes}")
    check_choice("spatial_axes", spatial_axes, (1, 2, 3))
    if x.ndim <= spatial_axes:
        raise ValueError(
            f"x must have {spatial_axes} spatial axes and channels, got shape {x.shape}"
        )
    return tuple(range(x.ndim - 1 - spatial_axes, x.ndim - 1))
