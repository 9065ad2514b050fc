"""Random rotation, translation, zoom and shear, with one interpolation for all of them."""

from __future__ import annotations

import jax.numpy as jnp

from jaxnn.arguments import check_knob
from jaxnn.data.augment.inputs import (
    LARGEST,
    Augmentation,
    Fill,
    Knob,
    check_fill,
    check_images,
    on_inputs,
    symmetric,
    wide,
)
from jaxnn.data.augment.resampling import warp
from jaxnn.keys import as_key, stream

__all__ = ["affine", "rotate", "shear", "translate", "zoom"]


def affine(
    *,
    rotation: Knob | None = None,
    translation: Knob | None = None,
    zoom: Knob | None = None,
    shear: Knob | None = None,
    fill: Fill = 0.0,
) -> Augmentation:
    r"""Rotate, shift, zoom and shear each image at random, with one interpolation; see `warp`.

    $$\alpha \sim U[-a, a), \quad t \sim U[-s, s)^2 \cdot (h, w), \quad
      z = (1 + m)^{u},\ u \sim U[-1, 1), \quad \varphi \sim U[-b, b)$$

    Args:
      rotation: a, in degrees, in [0, 180].
      translation: s, in [0, 1], as a fraction of the height and of the width.
      zoom: m, at least 0: from 1/(1 + m) of the size to (1 + m) times, smaller as often as
        larger.
      shear: b, in degrees, in [0, 90).
      fill: values that come in at the borders: a number, (channels,) numbers, or "edge", which
        continues the pixels of the border. 0 is the mean where inputs are standardized, and
        black where they are not.

    Each of the four is a float or a traced scalar, 0 changes nothing, and None, the default,
    draws nothing. Pixels should be scaled alike, not standardized one by one: see
    `augment.as_images`.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete value outside its range, or inputs of another shape.

    >>> import jax
    >>> augmentation = affine(rotation=15.0, translation=0.1, zoom=0.1)
    >>> jax.jit(augmentation)(jax.random.key(0), jnp.ones((2, 28, 28, 1))).shape
    (2, 28, 28, 1)

    Source: lecture C, rotations and translations; bounds as in torchvision's `RandomAffine`,
    but the zoom drawn on a logarithmic scale.
    """
    check_fill(fill)
    if rotation is not None:
        check_knob("rotation", rotation, 0, 180)
    if translation is not None:
        check_knob("translation", translation, 0, 1)
    if zoom is not None:
        check_knob("zoom", zoom, 0, LARGEST)
    if shear is not None:
        check_knob("shear", shear, 0, 90, high_open=True)

    def augmentation(key, batch):
        key = as_key(key)

        def change(x):
            check_images(x)
            amounts = {}
            if rotation is not None:
                amounts["angle"] = symmetric(stream(key, "rotation"), x, rotation)
            if translation is not None:
                fraction = symmetric(stream(key, "translation"), x, translation, 2)
                amounts["shift"] = fraction * jnp.asarray([x.shape[1:3]], fraction.dtype)
            if zoom is not None:
                growth = jnp.log1p(jnp.asarray(zoom, wide(x)))
                amounts["zoom"] = jnp.exp(symmetric(stream(key, "zoom"), x, growth))
            if shear is not None:
                amounts["shear"] = symmetric(stream(key, "shear"), x, shear)
            return warp(x, **amounts, fill=fill)

        return on_inputs(change, batch)

    return augmentation


def rotate(max_angle: Knob, *, fill: Fill = 0.0) -> Augmentation:
    """Rotate each image about its centre: `affine(rotation=max_angle)`.

    Args:
      max_angle: in degrees, in [0, 180], to either side; a float or a traced scalar.
      fill: values that come in at the borders, see `affine`.

    >>> import jax
    >>> image = jnp.ones((1, 8, 8, 1))
    >>> bool((jax.jit(rotate(0.0))(jax.random.key(0), image) == image).all())
    True

    Source: lecture C, rotations.
    """
    check_knob("max_angle", max_angle, 0, 180)
    return affine(rotation=max_angle, fill=fill)


def translate(max_shift: Knob, *, fill: Fill = 0.0) -> Augmentation:
    """Shift each image, by fractions of pixels too: `affine(translation=max_shift)`.

    `augment.crop` shifts by whole pixels, and blurs nothing.

    Args:
      max_shift: in [0, 1], to either side, as a fraction of the height and of the width; a
        float or a traced scalar.
      fill: values that come in at the borders, see `affine`.

    >>> import jax
    >>> image = jnp.ones((1, 8, 8, 1))
    >>> bool((jax.jit(translate(0.1, fill="edge"))(jax.random.key(0), image) == image).all())
    True

    Source: lecture C, translations.
    """
    check_knob("max_shift", max_shift, 0, 1)
    return affine(translation=max_shift, fill=fill)


def zoom(max_change: Knob, *, fill: Fill = 0.0) -> Augmentation:
    """Enlarge or shrink each image about its centre: `affine(zoom=max_change)`.

    Args:
      max_change: m, at least 0: from 1/(1 + m) of the size to (1 + m) times; a float or a
        traced scalar.
      fill: values that come in at the borders, see `affine`.

    >>> import jax
    >>> jax.eval_shape(zoom(0.2), jax.random.key(0), jnp.ones((1, 8, 8, 1))).shape
    (1, 8, 8, 1)

    Source: lecture C, crops: with `translate` it is one of any size and place.
    """
    check_knob("max_change", max_change, 0, LARGEST)
    return affine(zoom=max_change, fill=fill)


def shear(max_angle: Knob, *, fill: Fill = 0.0) -> Augmentation:
    """Slant the upright lines of each image, as italics do: `affine(shear=max_angle)`.

    Args:
      max_angle: in degrees, in [0, 90), to either side; a float or a traced scalar.
      fill: values that come in at the borders, see `affine`.

    >>> import jax
    >>> jax.eval_shape(shear(10.0), jax.random.key(0), jnp.ones((1, 8, 8, 1))).shape
    (1, 8, 8, 1)
    """
    check_knob("max_angle", max_angle, 0, 90, high_open=True)
    return affine(shear=max_angle, fill=fill)
