r"""Initial weights, and the table of which suit which activation.

All keep the variance of a layer's outputs near that of its inputs, and differ in what they
assume of the activation behind it. *fan-in* is the number of inputs of one unit (all axes
of the kernel but the last, multiplied), *fan-out* the number of units that one input feeds.
The normals are plain normals, as the lectures have them; Flax's are cut off at two standard
deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxnn.nn.activations import Activation

__all__ = ["Initializer", "glorot_normal", "glorot_uniform", "he_normal", "initializer_for"]

Initializer = Callable[[jax.Array, Sequence[int], Any], jax.Array]
"""`(key, shape, dtype) -> array`, as in Flax and JAX."""


def _fans(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) < 2:
        raise ValueError(f"shape must have two axes or more to have a fan-in, got {tuple(shape)}")
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


def he_normal() -> Initializer:
    r"""He (Kaiming) initialization, $W \sim \mathcal N(0, 2/\text{fan-in})$, for ReLU.

    ReLU silences half of its inputs, hence the 2.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    >>> weights = he_normal()(jax.random.key(0), (1000, 50), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(2 / 1000), 4)
    (0.0448, 0.0447)

    Source: He et al. 2015; lectures C, M and S.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        fan_in, _ = _fans(shape)
        return jax.random.normal(key, shape, dtype) * math.sqrt(2 / fan_in)

    return init


def glorot_normal() -> Initializer:
    r"""Glorot (Xavier) initialization, $W \sim \mathcal N(0, 2/(\text{fan-in}+\text{fan-out}))$.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    >>> weights = glorot_normal()(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.std()), 4), round(math.sqrt(2 / 1000), 4)
    (0.0447, 0.0447)

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return jax.random.normal(key, shape, dtype) * math.sqrt(2 / sum(_fans(shape)))

    return init


def glorot_uniform() -> Initializer:
    r"""Glorot (Xavier) initialization, uniform.

    $$W \sim U[-a, a], \qquad a = \sqrt{6/(\text{fan-in}+\text{fan-out})}$$

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    >>> weights = glorot_uniform()(jax.random.key(0), (3, 3), float)
    >>> bool(abs(weights).max() <= 1.0)
    True

    Source: Glorot and Bengio 2010; lectures C, L and S.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        limit = math.sqrt(6 / sum(_fans(shape)))
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


_BY_ACTIVATION: dict[str, Callable[[], Initializer]] = {
    "relu": he_normal,
    "tanh": glorot_uniform,
    "softmax": glorot_uniform,
}


def initializer_for(activation: str | Activation) -> Initializer:
    """The initializer that suits an activation: He for ReLU, Glorot for tanh and softmax.

    Args:
      activation: its name, or the function. A function that the table does not know
        gets Glorot, which assumes least.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    >>> initializer_for("relu").__qualname__
    'he_normal.<locals>.init'

    Source: lecture M's table.
    """
    name = activation if isinstance(activation, str) else getattr(activation, "__name__", "")
    return _BY_ACTIVATION.get(name, glorot_uniform)()
