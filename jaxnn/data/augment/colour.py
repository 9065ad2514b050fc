"""Random changes of colour: of each channel, of saturation and of hue."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
from jaxnn.data.augment.intensity import adjust_brightness, blend

__all__ = ["adjust_hue", "adjust_saturation", "channel_shift", "hue", "saturation"]

# Of Rec. 601; the further rows are the I and Q of the colour space YIQ.
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_QUARTER_TURN = np.linalg.inv(_TO_YIQ) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _TO_YIQ


def adjust_saturation(x: jax.Array, factor: Knob) -> jax.Array:
    r"""Multiply the distance from grey, $Y + f (x - Y)$ with the luma $Y$ of Rec. 601.

    Args:
      x: (n, …, 3) floats, red, green, blue. The luma is right where the three channels
        were standardized by one mean and deviation.
      factor: 0 for grey, 1 for no change; a scalar, or (n,), one for each example.

    Returns:
      An array of `x`'s shape and dtype, `x` itself where `factor` is 1.

    Raises:
      TypeError: `x` that holds no floats, or a `factor` that is no number.
      ValueError: the last axis is not of length 3, or a `factor` of another shape.

    >>> adjust_saturation(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3), 0.0).ravel()
    Array([0.299, 0.299, 0.299], dtype=float32)

    Source: torchvision's `adjust_saturation`, without its clipping. (TensorFlow's uses
    HSV, which has no meaning for values below 0.)
    """
    x = _rgb(x)
    return blend(x, _mix_channels(x, _LUMA), factor)


def adjust_hue(x: jax.Array, angle: Knob) -> jax.Array:
    r"""Rotate colours around the grey axis of the colour space YIQ, which keeps the luma.

    Args:
      x: (n, …, 3) floats, red, green, blue; see `adjust_saturation`.
      angle: in degrees; a scalar, or (n,), one for each example.

    Returns:
      An array of `x`'s shape and dtype, `x` itself where `angle` is 0.

    Raises:
      TypeError: `x` that holds no floats, or an `angle` that is no number.
      ValueError: the last axis is not of length 3, or an `angle` of another shape.

    >>> grey = jnp.full((1, 1, 1, 3), 0.5)
    >>> adjust_hue(grey, 90.0).ravel()
    Array([0.5, 0.5, 0.5], dtype=float32)

    Source: a rotation of YIQ, linear, so it holds for standardized values as well.
    (torchvision's and TensorFlow's `adjust_hue` turn HSV, which needs values in [0, 1].)
    """
    x = _rgb(x)
    check_amount("angle", angle, (), x.shape[:1])
    angle = per_row(angle, x)
    turn = angle * (np.pi / 180)
    luma = _mix_channels(x, _LUMA)
    turned = jnp.concatenate([_mix_channels(x, row) for row in _QUARTER_TURN], axis=-1)
    return unless(angle == 0, x, luma + jnp.cos(turn) * (x - luma) + jnp.sin(turn) * turned)


def _mix_channels(x: jax.Array, weights: np.ndarray) -> jax.Array:
    # Term by term: a matrix product would be rounded to fewer digits on a TPU, and a
    # reduction over an axis of length 3 is slow on a CPU.
    terms = [x[..., i : i + 1] * jnp.asarray(weights[i], wide(x)) for i in range(3)]
    return terms[0] + terms[1] + terms[2]


def _rgb(x: Any) -> jax.Array:
    x = floating(x)
    if x.shape[-1] != 3:
        raise ValueError(
            f"x must have 3 channels, red, green and blue, as its last axis, got shape {x.shape}"
        )
    return x


def channel_shift(max_delta: Knob) -> Augmentation:
    r"""Raise or lower each channel of an image by a random amount of its own.

    $$x_{hwc} + \delta_c, \qquad \delta_c \sim U[-d, d)$$

    Args:
      max_delta: d, at least 0, in units of the values; a float or a traced scalar. 0 changes
        nothing.

    Returns:
      An augmentation of images (n, height, width, channels).

    Raises:
      ValueError: a concrete `max_delta` below 0, or inputs of another shape.

    >>> y = jax.jit(channel_shift(0.2))(jax.random.key(0), jnp.zeros((2, 8, 8, 3)))
    >>> bool((y == y[:, :1, :1]).all()), len(set(y[0, 0, 0].tolist()))
    (True, 3)

    Source: lecture C, colour shifts.
    """
    check_knob("max_delta", max_delta, 0, LARGEST)

    def augmentation(key, batch):
        def change(x):
            check_images(x)
            return adjust_brightness(x, symmetric(key, x, max_delta, x.shape[-1]))

        return on_inputs(change, batch)

    return augmentation


def saturation(max_change: Knob) -> Augmentation:
    r"""Make colours stronger or paler, by a factor $f \sim U[1 - c, 1 + c)$.

    Args:
      max_change: c, in [0, 1]; a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of inputs (n, …, 3), red, green and blue.

    Raises:
      ValueError: a concrete `max_change` outside [0, 1], or inputs of another shape.

    >>> grey = jnp.ones((1, 4, 4, 3))
    >>> bool(jnp.allclose(jax.jit(saturation(0.5))(jax.random.key(0), grey), grey))
    True

    Source: lecture C, colour shifts; see `adjust_saturation`.
    """
    check_knob("max_change", max_change, 0, 1)

    def augmentation(key, batch):
        def change(x):
            return adjust_saturation(x, 1 + symmetric(key, x, max_change))

        return on_inputs(change, batch)

    return augmentation


def hue(max_angle: Knob) -> Augmentation:
    r"""Turn the colours of an image, by an angle $\varphi \sim U[-a, a)$.

    Args:
      max_angle: a, in degrees, in [0, 180]; a float or a traced scalar. 0 changes nothing.

    Returns:
      An augmentation of inputs (n, …, 3), red, green and blue.

    Raises:
      ValueError: a concrete `max_angle` outside [0, 180], or inputs of another shape.

    >>> x = jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    >>> y = jax.jit(hue(30.0))(jax.random.key(0), x).ravel()
    >>> round(float(0.299 * y[0] + 0.587 * y[1] + 0.114 * y[2]), 5)  # the luma stays
    0.299

    Source: lecture C, colour shifts; see `adjust_hue`.
    """
    check_knob("max_angle", max_angle, 0, 180)

    def augmentation(key, batch):
        return on_inputs(lambda x: adjust_hue(x, symmetric(key, x, max_angle)), batch)

    return augmentation
