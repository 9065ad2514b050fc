"""Activation functions, and the table of them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice

__all__ = ["ACTIVATIONS", "Activation", "activation", "relu", "tanh"]

Activation = Callable[[jax.Array], jax.Array]


def relu(x: jax.Array) -> jax.Array:
    r"""Rectified linear unit, $\max(0, x)$.

    The derivative at exactly 0 is taken as 0, so a unit that rests there stays silent.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> relu(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)

    Source: lectures C, M and S.
    """
    return jax.nn.relu(x)


def tanh(x: jax.Array) -> jax.Array:
    r"""Hyperbolic tangent, $\frac{e^x - e^{-x}}{e^x + e^{-x}}$, centred on 0, within (−1, 1).

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> tanh(jnp.array([0.0, 1.0]))
    Array([0.       , 0.7615942], dtype=float32)

    Source: lectures C, M and S.
    """
    return jnp.tanh(x)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({"relu": relu, "tanh": tanh})
"""Every activation that a model takes by name."""


def activation(name_or_function: str | Activation) -> Activation:
    """The function that `name_or_function` stands for.

    Args:
      name_or_function: a key of `ACTIVATIONS`, or any function of one array.

    Returns:
      The function.

    Raises:
      ValueError: an unknown name.

    >>> activation("relu") is relu
    True
    """
    if callable(name_or_function):
        return name_or_function
    check_choice("activation", name_or_function, tuple(ACTIVATIONS))
    return ACTIVATIONS[name_or_function]
