"""Augmentations by whole pixels, which interpolate nothing: flips, crops, cutout."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob, is_concrete
from jaxnn.data.augment.inputs import (
    LARGEST,
    Augmentation,
    Fill,
    Knob,
    check_amount,
    check_fill,
    check_images,
    on_inputs,
    uniform,
    wide,
)

__all__ = ["crop", "cutout", "flip_horizontal", "flip_vertical", "shift_pixels"]

_MOST_PADDING = 2**30  # a shift by more is no int32


def shift_pixels(x: jax.Array, shift: Any, *, fill: Fill = 0.0) -> jax.Array:
    """Shift images by whole pixels.

    Args:
      x: (n, height, width, channels), of any dtype.
      shift: integers, (down, right): of shape (2,), or (n, 2), one for each example.
      fill: values that come in at the borders: a number, (channels,) numbers, or "edge", which
        continues the pixels of the border.

    Returns:
      An array of `x`'s shape and dtype.

    Raises:
      TypeError: a `shift` that is no number.
      ValueError: inputs or a `shift` of another shape, or parts of pixels.

    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> shift_pixels(x, (0, 1))[0, :, :, 0]
    Array([[0., 0.],
           [0., 2.]], dtype=float32)
    """
    check_images(x)
    check_fill(fill)
    n, height, width, _ = x.shape
    _check_shift(shift, n)
    shift = jnp.broadcast_to(jnp.asarray(shift, jnp.int32), (n, 2))
    down = jnp.arange(height).reshape(1, -1) - shift[:, :1]
    right = jnp.arange(width).reshape(1, -1) - shift[:, 1:]
    rows, columns = jnp.clip(down, 0, height - 1), jnp.clip(right, 0, width - 1)
    moved = jax.vmap(lambda image, row, column: image[row][:, column])(x, rows, columns)
    if isinstance(fill, str):
        return moved
    inside = (down == rows)[:, :, None] & (right == columns)[:, None, :]
    return jnp.where(inside[..., None], moved, _filling(fill, x))


def _check_shift(shift: Any, n: int) -> None:
    most = 2**31 - 1
    check_amount("shift", shift, (2,), (n, 2), low=-most, high=most)
    if is_concrete(shift) and np.any(np.asarray(shift) % 1):
        raise ValueError(f"shift must be whole pixels, got {shift}")


def crop(padding: Knob, *, fill: Fill = 0.0) -> Augmentation:
    r"""Pad each image and crop it to its own size at random: a shift by whole pixels.

    $$\text{down}, \text{right} \sim U\{-p, \dots, p\}$$

    The size stays, so that training and evaluation see images of one size; a part enlarged to
    the full size is `affine(translation=…, zoom=…)`.

    Args:
      padding: p, in pixels at each border, at least 0; a number or a traced scalar, which is
        rounded down. 0 changes nothing.
      fill: values of the padding: a number, (channels,) numbers, or "edge", which continues
        the pixels of the border. 0 is the mean where inputs are standardized, and black where
        they are not.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `padding` below 0, or inputs of another shape.

    >>> cropped = jax.jit(crop(1))
    >>> cropped(jax.random.key(2), jnp.arange(1.0, 5).reshape(1, 2, 2, 1))[0, :, :, 0]
    Array([[0., 1.],
           [0., 3.]], dtype=float32)

    Source: lecture C, crops; He et al. 2016, who pad CIFAR's images by 4.
    """
    check_knob("padding", padding, 0, _MOST_PADDING)
    check_fill(fill)

    def augmentation(key, batch):
        def change(x):
            check_images(x)
            pixels = jnp.floor(jnp.asarray(padding, wide(x)))
            shift = jnp.floor(uniform(key, x, 2) * (2 * pixels + 1)) - pixels
            return shift_pixels(x, shift, fill=fill)

        return on_inputs(change, batch)

    return augmentation


def flip_horizontal(probability: Knob = 0.5) -> Augmentation:
    """Mirror an image left to right with a probability.

    This suits photographs. The mirror image of a digit or a letter is another sign, or none.

    Args:
      probability: in [0, 1]; a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `probability` outside [0, 1], or inputs of another shape.

    >>> flip_horizontal(1.0)(jax.random.key(0), jnp.arange(4.0).reshape(1, 2, 2, 1))[0, :, :, 0]
    Array([[1., 0.],
           [3., 2.]], dtype=float32)

    Source: lecture C, flips.
    """
    check_knob("probability", probability, 0, 1)

    def augmentation(key, batch):
        return on_inputs(lambda x: _flipped(key, x, probability, 2), batch)

    return augmentation


def flip_vertical(probability: Knob = 0.5) -> Augmentation:
    """Turn an image upside down, as a mirror does, with a probability.

    Args:
      probability: in [0, 1]; a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `probability` outside [0, 1], or inputs of another shape.

    >>> flip_vertical(1.0)(jax.random.key(0), jnp.arange(4.0).reshape(1, 2, 2, 1))[0, :, :, 0]
    Array([[2., 3.],
           [0., 1.]], dtype=float32)

    Source: lecture C, flips.
    """
    check_knob("probability", probability, 0, 1)

    def augmentation(key, batch):
        return on_inputs(lambda x: _flipped(key, x, probability, 1), batch)

    return augmentation


def _flipped(key: Any, x: jax.Array, probability: Knob, axis: int) -> jax.Array:
    check_images(x)
    flips = uniform(key, x) < jnp.asarray(probability, wide(x))
    return jnp.where(flips.reshape(-1, 1, 1, 1), jnp.flip(x, axis), x)


def cutout(side: Knob, *, fill: Fill = 0.0) -> Augmentation:
    """Cover a random rectangle of each image, which may extend over its borders.

    Args:
      side: of the rectangle, as a fraction of the height and of the width, in [0, 1]; a float
        or a traced scalar. 0 changes nothing.
      fill: values of the rectangle: a number, or (channels,) numbers; 0 is the mean where
        inputs are standardized.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `side` outside [0, 1], or inputs of another shape.

    >>> y = jax.jit(cutout(0.5))(jax.random.key(0), jnp.ones((1, 8, 8, 1)))
    >>> int((y == 0).sum()) in range(4, 17)
    True

    Source: DeVries and Taylor 2017: the centre lies anywhere in the image.
    """
    check_knob("side", side, 0, 1)
    check_knob("fill", fill, -LARGEST, LARGEST, array=True)

    def augmentation(key, batch):
        def change(x):
            check_images(x)
            middle = uniform(key, x, 2)
            covered = [
                abs((jnp.arange(size).reshape(1, -1) + 0.5) / size - middle[:, i, None])
                < jnp.asarray(side, wide(x)) / 2
                for i, size in enumerate(x.shape[1:3])
            ]
            cover = covered[0][:, :, None] & covered[1][:, None, :]
            return jnp.where(cover[..., None], _filling(fill, x), x)

        return on_inputs(change, batch)

    return augmentation


def _filling(fill: Any, x: jax.Array) -> jax.Array:
    low, high = _range(x.dtype)
    check_amount("fill", fill, (), x.shape[-1:], low=low, high=high)
    return jnp.broadcast_to(jnp.asarray(fill, x.dtype), (1, 1, 1, x.shape[-1]))


def _range(dtype: Any) -> tuple[float, float]:
    """Return the least and the largest number of a dtype."""
    if jnp.issubdtype(dtype, jnp.bool_):
        return 0, 1
    limits = jnp.iinfo(dtype) if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo(dtype)
    return float(limits.min), float(limits.max)
