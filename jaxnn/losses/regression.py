"""Losses of regression. Shapes must match exactly: nothing is broadcast."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.losses.checks import checked_by
from jaxnn.losses.inputs import as_real, check_same_shape, refuse_empty
from jaxnn.losses.parts import mean_of_outputs
from jaxnn.losses.targets import check_numbers, check_setting

__all__ = ["absolute_error", "difference", "huber", "squared_error"]


@checked_by(check_numbers)
def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    r"""Compute the squared error of each example, the mean of $(\hat y - y)^2$ over its outputs.

    Minimizing it is maximum likelihood under Gaussian noise of constant variance.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape. Nothing is broadcast, since (n,) against (n, 1)
        would silently become n × n differences.

    Returns:
      Losses of shape (n,); in float32 if the input is narrower. For a loss per token,
      `jax.vmap` this function.

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, or there are no examples.

    >>> squared_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[1.0, 4.0], [0.0, 0.0]]))
    Array([2., 0.], dtype=float32)

    Source: lectures L and M. (Lecture M's worked example has one output, so there is no mean.)
    """
    return mean_of_outputs(jnp.square(residuals_of(predictions, targets)))


@checked_by(check_numbers)
def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    r"""Compute the absolute error of each example, the mean of $|\hat y - y|$ over its outputs.

    Minimizing it is maximum likelihood under Laplace noise of constant scale. The gradient
    at a residual of 0 is taken as 0.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape.

    Returns:
      Losses of shape (n,); in float32 if the input is narrower.

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, or there are no examples.

    >>> absolute_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[1.0, 4.0], [0.0, 0.0]]))
    Array([1., 0.], dtype=float32)

    Source: common practice; no lecture teaches it.
    """
    residuals = residuals_of(predictions, targets)
    return mean_of_outputs(residuals * jnp.sign(residuals))  # the slope of jnp.abs at 0 is 1


def _check_delta(
    name: str, outputs: Any, targets: np.ndarray, counts: np.ndarray, *, delta: Any = 1.0
) -> None:
    check_setting("delta", delta, outputs, low_open=True)
    check_numbers(name, outputs, targets, counts)


@checked_by(_check_delta)
def huber(
    predictions: jax.Array, targets: jax.Array, *, delta: float | jax.Array = 1.0
) -> jax.Array:
    r"""Compute Huber's loss: squared for small residuals $r$, absolute for large ones.

    $$h(r) = \begin{cases} \tfrac12 r^2 & |r| \le \delta \\
    \delta\,(|r| - \tfrac12 \delta) & \text{else} \end{cases}$$

    The loss of an example is the mean over its outputs. Minimizing it is maximum likelihood
    under noise of density $\propto e^{-h(r)}$, which is Gaussian in the middle with Laplace
    tails.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape.
      delta: δ, above 0, in the unit of the targets; a float or a traced scalar.

    Returns:
      Losses of shape (n,); in float32 if the input is narrower.

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, there are no examples, or a concrete `delta` is not above 0, or
        vanishes or overflows in the dtype of the losses.

    >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]))
    Array([0.125, 2.5  ], dtype=float32)

    Source: Huber 1964; common practice, no lecture teaches it. (As in Optax and Keras.
    PyTorch's `smooth_l1_loss(beta)` is `huber(delta=beta) / beta`.)
    """
    sizes = jnp.abs(residuals_of(predictions, targets))
    check_setting("delta", delta, sizes, low_open=True)
    d = jnp.asarray(delta, sizes.dtype)
    # The square of a large residual would overflow, and its gradient with it.
    small = jnp.minimum(sizes, d)
    return mean_of_outputs(0.5 * jnp.square(small) + d * (sizes - small))


def residuals_of(predictions: Any, targets: Any) -> jax.Array:
    """Subtract in float32 or wider; refuse other shapes and no examples."""
    predictions, targets = as_real("predictions", predictions), as_real("targets", targets)
    check_same_shape("predictions", predictions.shape, targets.shape)
    refuse_empty("predictions", predictions)
    return difference(predictions, targets)


def difference(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Subtract in float32 or wider."""
    dtype = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    return predictions.astype(dtype) - targets.astype(dtype)
