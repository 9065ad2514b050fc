"""Random changes of brightness and contrast, and noise.

Nothing is clipped to a range of values, because inputs are often standardized. Here and for
colours, each change has a pure function of its amount, and a factory of the augmentation that
draws the amount.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob
from jaxnn.data.augment.inputs import (
    LARGEST,
    Augmentation,
    Knob,
    check_amount,
    check_images,
    floating,
    on_inputs,
    per_row,
    symmetric,
    unless,
    wide,
)
from jaxnn.keys import as_key

__all__ = ["adjust_brightness", "adjust_contrast", "brightness", "contrast", "noise"]


def adjust_brightness(x: jax.Array, delta: Knob) -> jax.Array:
    r"""Add the same amount to every value, $x + \delta$.

    Args:
      x: (n, …) floats.
      delta: in units of the values: a scalar, or (n,), one for each example; or (n, channels),
        one for each channel, the last axis.

    Returns:
      An array of `x`'s shape and dtype, `x` itself where `delta` is 0.

    Raises:
      TypeError: `x` that holds no floats, or a `delta` that is no number.
      ValueError: a `delta` of another shape.

    >>> adjust_brightness(jnp.zeros((2, 1, 1, 1)), jnp.array([0.5, 0.0])).ravel()
    Array([0.5, 0. ], dtype=float32)

    Source: `tf.image.adjust_brightness`. (torchvision's multiplies, which would raise the
    contrast of inputs whose mean is 0.)
    """
    x = floating(x)
    check_amount("delta", delta, (), x.shape[:1], (x.shape[0], x.shape[-1]))
    delta = per_row(delta, x)
    return unless(delta == 0, x, x + delta)


def adjust_contrast(x: jax.Array, factor: Knob) -> jax.Array:
    r"""Multiply the distance from the channel's mean over the image, $\mu + f (x - \mu)$.

    Args:
      x: (n, …, channels) floats.
      factor: 1 changes nothing; a scalar, or (n,), one for each example.

    Returns:
      An array of `x`'s shape and dtype, `x` itself where `factor` is 1.

    Raises:
      TypeError: `x` that holds no floats, or a `factor` that is no number.
      ValueError: a `factor` of another shape.

    >>> adjust_contrast(jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1), 2.0).ravel()
    Array([0., 4.], dtype=float32)

    Source: `tf.image.adjust_contrast`. (torchvision takes the mean over the channels too.)
    """
    x = floating(x)
    values = x.astype(wide(x))
    return blend(x, values.mean(tuple(range(1, x.ndim - 1)), keepdims=True), factor)


def blend(x: jax.Array, base: jax.Array, factor: Knob) -> jax.Array:
    """Interpolate: `base` at the factor 0, `x` itself at 1."""
    check_amount("factor", factor, (), x.shape[:1])
    factor = per_row(factor, x)
    return unless(factor == 1, x, base + factor * (x - base))


def brightness(max_delta: Knob) -> Augmentation:
    r"""Raise or lower all values of an image by one amount, $\delta \sim U[-d, d)$.

    Args:
      max_delta: d, at least 0, in units of the values (deviations, where inputs are
        standardized); a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of inputs of any shape (n, …).

    Raises:
      ValueError: a concrete `max_delta` below 0.

    >>> x = jnp.zeros((2, 8, 8, 1))
    >>> y = jax.jit(brightness(0.2))(jax.random.key(0), x)
    >>> bool((abs(y) <= 0.2).all()), bool((y == y[:, :1, :1]).all())
    (True, True)

    Source: lecture C, data augmentation; see `adjust_brightness`.
    """
    check_knob("max_delta", max_delta, 0, LARGEST)

    def augmentation(key, batch):
        return on_inputs(lambda x: adjust_brightness(x, symmetric(key, x, max_delta)), batch)

    return augmentation


def contrast(max_change: Knob) -> Augmentation:
    r"""Strengthen or weaken an image's contrast, by a factor $f \sim U[1 - c, 1 + c)$.

    Args:
      max_change: c, in [0, 1]; a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `max_change` outside [0, 1], or inputs of another shape.

    >>> x = jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    >>> float(jax.jit(contrast(0.5))(jax.random.key(0), x).mean())
    2.0

    Source: lecture C, data augmentation; see `adjust_contrast`.
    """
    check_knob("max_change", max_change, 0, 1)

    def augmentation(key, batch):
        def change(x):
            check_images(x)
            return adjust_contrast(x, 1 + symmetric(key, x, max_change))

        return on_inputs(change, batch)

    return augmentation


def noise(stddev: Knob) -> Augmentation:
    r"""Add Gaussian noise to every value, $x + \sigma \varepsilon$, $\varepsilon \sim N(0, 1)$.

    Args:
      stddev: σ, at least 0, in units of the values; a float or a traced scalar. 0 changes
        nothing.

    Returns:
      An augmentation of inputs of any shape (n, …).

    Raises:
      ValueError: a concrete `stddev` below 0.

    >>> y = jax.jit(noise(0.1))(jax.random.key(0), jnp.zeros((100, 64)))
    >>> round(float(y.std()), 3)
    0.1

    Source: lecture C, add noise.
    """
    check_knob("stddev", stddev, 0, LARGEST)

    def augmentation(key, batch):
        def change(x):
            sigma = jnp.asarray(stddev, wide(x))
            draws = jax.random.normal(as_key(key), x.shape, wide(x))
            return unless(sigma == 0, x, x + sigma * draws)

        return on_inputs(change, batch)

    return augmentation
