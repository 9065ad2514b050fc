r"""Initial weights whose variance follows from the number of inputs and outputs of a unit.

All keep the variance of a layer's outputs near that of its inputs, and differ in what they
assume of the activation behind it. *fan-in* is the number of inputs of one unit (all axes
of the kernel but the last, multiplied: k·k·channels for a convolution), *fan-out* the number
of units that one input feeds. A kernel with fewer than two axes has none, and is refused.

The normals are plain normals, as the lectures have them. Flax's and Keras' are cut off at two
standard deviations and widened to keep their variance: `truncated=True`.

`scale` multiplies the weights, so that the variance grows with its square; the draw itself
does not depend on it. Of `variance_scaling` alone it multiplies the variance, as in Flax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_knob
from jaxnn.nn.initializers.fans import Initializer, Number, draw, fans, normal_kind

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "variance_scaling",
]


def he_normal(scale: Number = 1.0, *, truncated: bool = False) -> Initializer:
    r"""He (Kaiming) initialization, $W \sim \mathcal N(0, 2/\text{fan-in})$, for ReLU.

    ReLU silences half of its inputs, hence the 2. Behind a leaky ReLU of slope a it would be
    $2/(1+a^2)$: a scale of $1/\sqrt{1+a^2}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to cut off at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> weights = he_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 3), round(math.sqrt(2 / 600), 3)
    (0.058, 0.058)

    Source: He et al. 2015; lectures C, M and S.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(2 / fans(shape)[0])
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def he_uniform(scale: Number = 1.0) -> Initializer:
    r"""He initialization, uniform: $W \sim U[-a, a]$, $a = \sqrt{6/\text{fan-in}}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> bool(abs(he_uniform()(jax.random.key(0), (6, 6), float)).max() <= 1.0)
    True

    Source: He et al. 2015.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(2 / fans(shape)[0]), key, shape, dtype)

    return init


def glorot_normal(scale: Number = 1.0, *, truncated: bool = False) -> Initializer:
    r"""Glorot (Xavier) initialization, $W \sim \mathcal N(0, 2/(\text{fan-in}+\text{fan-out}))$.

    Two lectures write it otherwise. C's $1/(\text{fan-in}+\text{fan-out})$, half of the
    variance, is `variance_scaling(0.5, "fan_avg", "normal")`; S's $1/\text{fan-in}$ is
    `lecun_normal`.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to cut off at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> weights = glorot_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(2 / 1000), 4)
    (0.0447, 0.0447)

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(2 / sum(fans(shape)))
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def glorot_uniform(scale: Number = 1.0) -> Initializer:
    r"""Glorot (Xavier) initialization, uniform.

    $$W \sim U[-a, a], \qquad a = \sqrt{6/(\text{fan-in}+\text{fan-out})}$$

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> weights = glorot_uniform()(jax.random.key(0), (6, 6), float)
    >>> bool(abs(weights).max() <= math.sqrt(1 / 2))
    True

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(2 / sum(fans(shape))), key, shape, dtype)

    return init


def lecun_normal(scale: Number = 1.0, *, truncated: bool = False) -> Initializer:
    r"""LeCun initialization, $W \sim \mathcal N(0, 1/\text{fan-in})$, for SELU.

    It keeps the variance of a layer without activation. Lecture S calls it Xavier.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to cut off at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> weights = lecun_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 3), round(math.sqrt(1 / 600), 3)
    (0.041, 0.041)

    Source: LeCun et al. 1998; lectures M and S.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(1 / fans(shape)[0])
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def lecun_uniform(scale: Number = 1.0) -> Initializer:
    r"""LeCun initialization, uniform: $W \sim U[-a, a]$, $a = \sqrt{3/\text{fan-in}}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0.

    >>> bool(abs(lecun_uniform()(jax.random.key(0), (6, 6), float)).max() <= 0.71)
    True

    Source: LeCun et al. 1998.
    """
    check_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(1 / fans(shape)[0]), key, shape, dtype)

    return init


_FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}


def variance_scaling(scale: Number, mode: str, distribution: str) -> Initializer:
    r"""Weights of mean 0 and variance $s/\text{fan}$, of which all others here are cases.

    Args:
      scale: s, at least 0; a float or a traced scalar. As in Flax and Keras it multiplies
        the variance, not the weights.
      mode: the fan: "fan_in", "fan_out", or "fan_avg", the mean of the two.
      distribution: "normal", "truncated_normal" (cut off at two standard deviations and
        widened by 1/0.8796, so that the variance is as said) or "uniform".

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a concrete `scale` below 0, an unknown mode or distribution.

    >>> lecture_c = variance_scaling(0.5, "fan_avg", "normal")  # N(0, 1/(fan-in + fan-out))
    >>> weights = lecture_c(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(1 / 1000), 4)
    (0.0316, 0.0316)

    Source: Flax's and Keras' function of that name; lecture C for the example.
    """
    check_knob("scale", scale, 0)
    check_choice("mode", mode, tuple(_FANS))
    check_choice("distribution", distribution, ("normal", "truncated_normal", "uniform"))

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = jnp.sqrt(jnp.asarray(scale, float) / _FANS[mode](*fans(shape)))
        return draw(distribution, deviation, key, shape, dtype)

    return init
