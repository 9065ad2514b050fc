"""Rotate, shift, zoom and shear images with a single bilinear interpolation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.augment.inputs import (
    SMALLEST,
    Fill,
    Knob,
    check_amount,
    check_fill,
    check_images,
    floating,
    unless,
    wide,
)

__all__ = ["warp"]


def warp(
    x: jax.Array,
    *,
    angle: Knob = 0.0,
    shift: Any = (0.0, 0.0),
    zoom: Knob = 1.0,
    shear: Knob = 0.0,
    fill: Fill = 0.0,
) -> jax.Array:
    r"""Zoom, shear, rotate about their centre and shift images, in this order.

    The value at the point $p$, measured from the middle of the image, comes from the point

    $$q = \tfrac{1}{z}\, S_\varphi^{-1} R_\alpha^{-1} (p - t)$$

    of the original, by bilinear interpolation between its pixels. There is a single interpolation,
    so several changes blur an image no more than one.

    Args:
      x: (n, height, width, channels) floats.
      angle: α in degrees, counterclockwise as the picture is seen.
      shift: t in pixels, (down, right): of shape (2,), or (n, 2), one for each example.
      zoom: z, above 0; above 1 enlarges.
      shear: φ in degrees, in (-90, 90): how far upright lines lean to the right.
      fill: values beyond the border: a number, (channels,) numbers, or "edge", which
        continues the pixels of the border.

    `angle`, `zoom` and `shear` are scalars, or (n,), one for each example.

    Returns:
      An array of `x`'s shape and dtype; an image that nothing changes is returned bit for bit.

    Raises:
      TypeError: `x` that holds no floats, or an amount that is no number.
      ValueError: inputs or an amount of another shape, or a concrete value outside its range.

    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> turn = jax.jit(lambda x: warp(x, angle=90.0))
    >>> turn(x)[0, :, :, 0].round(5)
    Array([[1., 3.],
           [0., 2.]], dtype=float32)
    >>> move = jax.jit(lambda x: warp(x, shift=(0.0, 0.5)))
    >>> move(x)[0, :, :, 0]
    Array([[0. , 0.5],
           [1. , 2.5]], dtype=float32)
    """
    check_images(x)
    check_fill(fill)
    x = floating(x)
    dtype, rows = wide(x), x.shape[:1]
    check_amount("angle", angle, (), rows)
    check_amount("shift", shift, (2,), (*rows, 2))
    check_amount("zoom", zoom, (), rows, low=SMALLEST)
    check_amount("shear", shear, (), rows, low=-90, high=90, low_open=True, high_open=True)
    angle, zoom, shear = (
        jnp.broadcast_to(jnp.asarray(v, dtype), rows) for v in (angle, zoom, shear)
    )
    shift = jnp.broadcast_to(jnp.asarray(shift, dtype), (*rows, 2))
    still = (angle == 0) & (zoom == 1) & (shear == 0) & (shift == 0).all(-1)
    down, right = _sources(x.shape, angle, shift, zoom, shear)
    return unless(still.reshape(-1, 1, 1, 1), x, _sample(_framed(x, fill), down, right))


def _sources(
    shape: tuple[int, ...], angle: jax.Array, shift: jax.Array, zoom: jax.Array, shear: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute each pixel's source: rows and columns (n, height, width), from the centre."""
    _, height, width, _ = shape
    upright, dtype = (-1, 1, 1), angle.dtype
    down = jnp.asarray(np.arange(height) - (height - 1) / 2, dtype).reshape(1, -1, 1)
    right = jnp.asarray(np.arange(width) - (width - 1) / 2, dtype).reshape(1, 1, -1)
    down, right = down - shift[:, 0].reshape(upright), right - shift[:, 1].reshape(upright)
    turn = (angle * (np.pi / 180)).reshape(upright)
    cos, sin = jnp.cos(turn), jnp.sin(turn)
    down, right = right * sin + down * cos, right * cos - down * sin
    right = right + jnp.tan(shear * (np.pi / 180)).reshape(upright) * down
    zoom = zoom.reshape(upright)
    return down / zoom, right / zoom


def _framed(x: jax.Array, fill: Fill) -> jax.Array:
    """Put the images in a frame one pixel wide, which stands for all that lies outside."""
    x = x.astype(wide(x))
    if isinstance(fill, str):
        return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    n, height, width, channels = x.shape
    check_amount("fill", fill, (), (channels,))
    frame = jnp.broadcast_to(jnp.asarray(fill, x.dtype), (n, height + 2, width + 2, channels))
    return frame.at[:, 1:-1, 1:-1].set(x)


def _sample(framed: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Interpolate the framed images bilinearly at points measured from their centre."""
    n, height, width, channels = framed.shape
    down = jnp.clip(down + (height - 1) / 2, 0, height - 1)
    right = jnp.clip(right + (width - 1) / 2, 0, width - 1)
    row = jnp.clip(jnp.floor(down), 0, height - 2).astype(jnp.int32)
    column = jnp.clip(jnp.floor(right), 0, width - 2).astype(jnp.int32)
    cells = _cells(framed).reshape(n, (height - 1) * (width - 1), 4 * channels + 2)
    take = jax.vmap(lambda cells, at: cells.at[at].get(mode="promise_in_bounds"))
    found = take(cells, row * (width - 1) + column)
    a, b, c, d, place = jnp.split(found, [channels * i for i in (1, 2, 3, 4)], axis=-1)
    low, left = jnp.split(jnp.stack([down, right], axis=-1) - place, 2, axis=-1)
    upper, lower = a + left * (b - a), c + left * (d - c)
    return upper + low * (lower - upper)


def _cells(framed: jax.Array) -> jax.Array:
    """Gather the four corners of each cell between pixels, and the cell's place, in one entry.

    The place is gathered too, because the compiler may compute a point twice and round it
    differently: a second `floor` sometimes gives another row than that of the gathered pixels.
    """
    n, height, width, _ = framed.shape
    corners = [
        framed[:, i : height - 1 + i, j : width - 1 + j]
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    place = np.stack(np.meshgrid(np.arange(height - 1), np.arange(width - 1), indexing="ij"), -1)
    place = jnp.broadcast_to(jnp.asarray(place, framed.dtype), (n, *place.shape))
    return jnp.concatenate([*corners, place], axis=-1)
