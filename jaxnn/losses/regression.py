"""Losses of regression. Shapes must match exactly: nothing is broadcast."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob
from jaxnn.losses.checks import checked_by

__all__ = ["absolute_error", "huber", "squared_error"]


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
      ValueError: the shapes differ.

    >>> squared_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[1.0, 4.0], [0.0, 0.0]]))
    Array([2., 0.], dtype=float32)

    Source: lectures L and M. (Lecture M's worked example has one output, so there is no mean.)
    """
    return _mean_over_outputs(jnp.square(_residuals(predictions, targets)))


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
      ValueError: the shapes differ.

    >>> absolute_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[1.0, 4.0], [0.0, 0.0]]))
    Array([1., 0.], dtype=float32)

    Source: common practice; none of the lectures teaches it.
    """
    residuals = _residuals(predictions, targets)
    return _mean_over_outputs(residuals * jnp.sign(residuals))  # the slope of jnp.abs at 0 is 1


def _check_delta(
    name: str, outputs: Any, targets: np.ndarray, counts: np.ndarray, *, delta: Any = 1.0
) -> None:
    del name, outputs, targets, counts  # any targets are fine
    check_knob("delta", delta, 0, low_open=True)


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
      ValueError: the shapes differ, or a concrete `delta` is not above 0.

    >>> huber(jnp.array([0.5, 3.0]), jnp.array([0.0, 0.0]))
    Array([0.125, 2.5  ], dtype=float32)

    Source: Huber 1964; common practice, none of the lectures teaches it. (As in Optax and Keras.
    PyTorch's `smooth_l1_loss(beta)` is `huber(delta=beta) / beta`.)
    """
    check_knob("delta", delta, 0, low_open=True)
    sizes = jnp.abs(_residuals(predictions, targets))
    d = jnp.asarray(delta, sizes.dtype)
    # The square of a large residual would overflow, and its gradient with it.
    small = jnp.minimum(sizes, d)
    return _mean_over_outputs(0.5 * jnp.square(small) + d * (sizes - small))


def _residuals(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Subtract in float32 or wider; refuse shapes that differ."""
    if predictions.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the predictions, {predictions.shape}, "
            f"got {targets.shape}"
        )
    wide = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    return predictions.astype(wide) - targets.astype(wide)


def _mean_over_outputs(losses: jax.Array) -> jax.Array:
    return losses.reshape(losses.shape[0], -1).mean(axis=1)
