r"""Initializers whose variance follows from the number of inputs and outputs of a unit.

They all keep the variance of a layer's outputs near that of its inputs. They differ in what they
assume about the activation behind the layer. *fan-in* is the number of inputs of one unit (the
product of all axes of the kernel but the last: k·k·channels for a convolution). *fan-out* is the
number of units that one input feeds. A kernel with fewer than two axes has neither, and is refused.

The normal distributions are not truncated, as in the lectures. Those of Flax and Keras are
truncated at two standard deviations and widened to keep their variance: `truncated=True`.

`scale` multiplies the weights, so the variance grows with its square; the draw itself does not
depend on it. Only in `variance_scaling` it multiplies the variance, as in Flax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_flag
from jaxnn.nn.checks import check_held_knob
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
    r"""Initialize as He (Kaiming), $W \sim \mathcal N(0, 2/\text{fan-in})$, for ReLU.

    The 2 makes up for ReLU, which sets half of its inputs to 0. For a leaky ReLU of slope a it
    becomes $2/(1+a^2)$: use a scale of $1/\sqrt{1+a^2}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to truncate at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> weights = he_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 3), round(math.sqrt(2 / 600), 3)
    (0.058, 0.058)

    Source: He et al. 2015; lectures C, M and S.
    """
    check_held_knob("scale", scale, 0)
    check_flag("truncated", truncated)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(2 / fans(shape)[0])
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def he_uniform(scale: Number = 1.0) -> Initializer:
    r"""Initialize as He (Kaiming), uniformly: $W \sim U[-a, a]$, $a = \sqrt{6/\text{fan-in}}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> bool(abs(he_uniform()(jax.random.key(0), (6, 6), float)).max() <= 1.0)
    True

    Source: He et al. 2015.
    """
    check_held_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(2 / fans(shape)[0]), key, shape, dtype)

    return init


def glorot_normal(scale: Number = 1.0, *, truncated: bool = False) -> Initializer:
    r"""Initialize as Glorot (Xavier), $W \sim \mathcal N(0, 2/(\text{fan-in}+\text{fan-out}))$.

    Two lectures define it differently. Lecture C's variance, $1/(\text{fan-in}+\text{fan-out})$,
    is half as large: `variance_scaling(0.5, "fan_avg", "normal")`. Lecture S's variance,
    $1/\text{fan-in}$, is that of `lecun_normal`.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to truncate at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> weights = glorot_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(2 / 1000), 4)
    (0.0447, 0.0447)

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """
    check_held_knob("scale", scale, 0)
    check_flag("truncated", truncated)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(2 / sum(fans(shape)))
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def glorot_uniform(scale: Number = 1.0) -> Initializer:
    r"""Initialize as Glorot (Xavier), from a uniform distribution.

    $$W \sim U[-a, a], \qquad a = \sqrt{6/(\text{fan-in}+\text{fan-out})}$$

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> bool(abs(glorot_uniform()(jax.random.key(0), (6, 6), float)).max() <= 0.71)
    True

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """
    check_held_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(2 / sum(fans(shape))), key, shape, dtype)

    return init


def lecun_normal(scale: Number = 1.0, *, truncated: bool = False) -> Initializer:
    r"""Initialize as LeCun, $W \sim \mathcal N(0, 1/\text{fan-in})$, for SELU.

    It keeps the variance through a layer without activation. Lecture S calls it Xavier.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.
      truncated: whether to truncate at two standard deviations, as Flax does.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> weights = lecun_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 3), round(math.sqrt(1 / 600), 3)
    (0.041, 0.041)

    Source: LeCun et al. 1998; lectures M and S.
    """
    check_held_knob("scale", scale, 0)
    check_flag("truncated", truncated)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = scale * math.sqrt(1 / fans(shape)[0])
        return draw(normal_kind(truncated), deviation, key, shape, dtype)

    return init


def lecun_uniform(scale: Number = 1.0) -> Initializer:
    r"""Initialize as LeCun, uniformly: $W \sim U[-a, a]$, $a = \sqrt{3/\text{fan-in}}$.

    Args:
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> bool(abs(lecun_uniform()(jax.random.key(0), (6, 6), float)).max() <= 0.71)
    True

    Source: LeCun et al. 1998.
    """
    check_held_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", scale * math.sqrt(1 / fans(shape)[0]), key, shape, dtype)

    return init


_FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}


def variance_scaling(scale: Number, mode: str, distribution: str) -> Initializer:
    r"""Initialize with mean 0 and variance $s/\text{fan}$, the general form of this module.

    Args:
      scale: s, at least 0; a float or a traced scalar. As in Flax and Keras it multiplies
        the variance, not the weights.
      mode: which fan divides s: "fan_in", "fan_out", or "fan_avg", the mean of the two.
      distribution: "normal", "truncated_normal" (truncated at two standard deviations and
        widened by 1/0.8796, so that the variance stays s/fan) or "uniform".

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0, or the mode or distribution is unknown.

    >>> lecture_c = variance_scaling(0.5, "fan_avg", "normal")  # N(0, 1/(fan-in + fan-out))
    >>> weights = lecture_c(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(1 / 1000), 4)
    (0.0316, 0.0316)

    Source: the function of that name in Flax and Keras; lecture C for the example.
    """
    check_held_knob("scale", scale, 0)
    check_choice("mode", mode, tuple(_FANS))
    check_choice("distribution", distribution, ("normal", "truncated_normal", "uniform"))

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        deviation = jnp.sqrt(jnp.asarray(scale, float) / _FANS[mode](*fans(shape)))
        return draw(distribution, deviation, key, shape, dtype)

    return init
