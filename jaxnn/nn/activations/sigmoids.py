"""Saturating activations, and softmax, their form for several numbers together."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.nn.checks import check_axes, numbers

__all__ = [
    "hard_sigmoid",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "sigmoid",
    "soft_sign",
    "softmax",
    "tanh",
]


def sigmoid(x: jax.Array) -> jax.Array:
    r"""Apply the logistic sigmoid, $\sigma(x) = 1/(1 + e^{-x})$, with values in (0, 1).

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(sigmoid(jnp.array(1.0)))
    0.7311

    Source: lectures C, L, M and S.
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    return jax.nn.sigmoid(x)


def log_sigmoid(x: jax.Array) -> jax.Array:
    r"""Compute $\log \sigma(x) = -\log(1 + e^{-x})$ without overflow.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(log_sigmoid(jnp.array(1.0)))
    -0.3133
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    return jax.nn.log_sigmoid(x)


def hard_sigmoid(x: jax.Array) -> jax.Array:
    r"""Apply the piecewise linear sigmoid, $\min(\max(x + 3, 0), 6)/6$.

    This is the form of JAX, PyTorch and Keras 3. In Keras 2 and Theano the slope is 0.2.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> float(hard_sigmoid(jnp.array(1.0)))
    0.6667

    Source: Howard et al. 2019.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.hard_sigmoid(x)


def tanh(x: jax.Array) -> jax.Array:
    r"""Apply the hyperbolic tangent, $\frac{e^x - e^{-x}}{e^x + e^{-x}}$.

    Its values lie in (−1, 1) and are centred on 0.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> tanh(jnp.array([0.0, 1.0]))
    Array([0.       , 0.7615942], dtype=float32)

    Source: lectures C, M and S.
    """
    x = numbers("x", x, complex_too=True)
    return jnp.tanh(x)


def hard_tanh(x: jax.Array) -> jax.Array:
    r"""Apply the piecewise linear tanh, $\min(\max(x, -1), 1)$.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> hard_tanh(jnp.array([-2.0, 0.5, 3.0]))
    Array([-1. ,  0.5,  1. ], dtype=float32)

    Source: Collobert 2004.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.hard_tanh(x)


def soft_sign(x: jax.Array) -> jax.Array:
    r"""Apply soft sign, $x/(1 + |x|)$, which is like tanh but saturates more slowly.

    Args:
      x: array of any shape.

    Returns:
      Array of the same shape and dtype.

    >>> soft_sign(jnp.array([-1.0, 0.0, 3.0]))
    Array([-0.5 ,  0.  ,  0.75], dtype=float32)

    Source: Glorot and Bengio 2010.
    """
    x = numbers("x", x, complex_too=True)
    return jax.nn.soft_sign(x)


def softmax(x: jax.Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    r"""Turn scores into probabilities, $e^{x_i} / \sum_j e^{x_j}$, without overflow.

    Args:
      x: array of scores.
      axis: the axis, or the axes, along which the outputs sum to 1.

    Returns:
      Array of the same shape and dtype.

    >>> [round(float(p), 4) for p in softmax(jnp.array([1.0, 2.0, 3.0]))]
    [0.09, 0.2447, 0.6652]

    Source: lectures C, L and M.
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    check_axes("axis", axis, x, several=True)
    return jax.nn.softmax(x, axis=axis)


def log_softmax(x: jax.Array, axis: int | tuple[int, ...] = -1) -> jax.Array:
    r"""Compute the logarithm of `softmax`, $x_i - \log \sum_j e^{x_j}$.

    It stays finite where the softmax itself rounds to 0.

    Args:
      x: array of scores.
      axis: the axis, or the axes, along which the exponentials of the outputs sum to 1.

    Returns:
      Array of the same shape and dtype.

    >>> log_softmax(jnp.array([0.0, 500.0]))
    Array([-500.,    0.], dtype=float32)

    Source: lecture L.
    """
    x = numbers("x", x, inexact=True, complex_too=True)
    check_axes("axis", axis, x, several=True)
    return jax.nn.log_softmax(x, axis=axis)
