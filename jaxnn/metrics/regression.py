"""Metrics of regression. Shapes must match exactly: nothing is broadcast."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.losses.inputs import as_real, check_same_shape
from jaxnn.losses.regression import difference
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.sums import Pair, axes_of_examples, weight_of, weighted

__all__ = ["R2", "mean_absolute_error", "mean_squared_error", "r2"]


@best_is("min")
def mean_squared_error(
    predictions: jax.Array, targets: jax.Array, weight: jax.Array | None = None
) -> Pair:
    r"""Measure the mean of $(\hat y - y)^2$ over examples and outputs.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape.
      weight: as in `weighted`.

    Returns:
      The pair (sum of squares, weight of the entries).

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, or a concrete weight is negative or not finite.

    >>> mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
    (Array(9., dtype=float32), Array(2., dtype=float32))
    """
    return weighted(jnp.square(_residuals(predictions, targets)), weight)


@best_is("min")
def mean_absolute_error(
    predictions: jax.Array, targets: jax.Array, weight: jax.Array | None = None
) -> Pair:
    r"""Measure the mean of $|\hat y - y|$ over examples and outputs.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape.
      weight: as in `weighted`.

    Returns:
      The pair (sum of absolute values, weight of the entries).

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, or a concrete weight is negative or not finite.

    >>> mean_absolute_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0]))
    (Array(3., dtype=float32), Array(2., dtype=float32))
    """
    return weighted(jnp.abs(_residuals(predictions, targets)), weight)


@best_is("max")
class R2(struct.PyTreeNode):
    """The accumulator that `r2` returns. All leaves have the shape of the outputs of an example.

    The mean of the targets is kept as `origin + offset`, and there is no Σy²: in float32 the
    squares of targets such as 10⁴ ± 1 have no digits left for their differences.
    """

    weight: jax.Array  # Σw
    origin: jax.Array  # one of the targets
    offset: jax.Array  # mean of the targets minus the origin
    spread: jax.Array  # Σw(y − mean)²
    residual: jax.Array  # Σw(ŷ − y)²

    def merge(self, other: R2) -> R2:
        """Combine two parts of the data, by the formula of Chan, Golub and LeVeque."""
        weight = self.weight + other.weight
        share = other.weight / jnp.where(weight > 0, weight, 1)
        distance = (other.origin - self.origin) + (other.offset - self.offset)
        first = self.weight > 0
        return R2(
            weight=weight,
            origin=jnp.where(first, self.origin, other.origin),
            offset=jnp.where(first, self.offset + share * distance, other.offset),
            spread=self.spread + other.spread + self.weight * share * jnp.square(distance),
            residual=self.residual + other.residual,
        )

    def result(self) -> jax.Array:
        """Return the mean over outputs; of constant targets it is 1 if all are met, else 0."""
        constant = self.spread == 0
        explained = 1 - self.residual / jnp.where(constant, 1, self.spread)
        # 0 times the residual is 0, or NaN if the residual is not finite.
        otherwise = jnp.where(self.residual == 0, 1, 0 * self.residual)
        # A spread that overflowed would make any residual look small.
        measured = (self.weight > 0) & jnp.isfinite(self.spread)
        return jnp.where(measured, jnp.where(constant, otherwise, explained), jnp.nan).mean()


@best_is("max")
def r2(predictions: jax.Array, targets: jax.Array, weight: jax.Array | None = None) -> R2:
    r"""Measure the share of the targets' variance that the predictions explain.

    $$R^2 = 1 - \frac{\sum_i w_i (\hat y_i - y_i)^2}{\sum_i w_i (y_i - \bar y)^2}$$

    Here $\bar y$ is the mean over the whole data, not over a batch. The result is the mean
    over outputs, which is scikit-learn's `uniform_average`.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape.
      weight: (n,), or (n, tokens). Its axes are the axes of examples; the remaining axes of the
        targets are outputs. None: all 1, of shape (n,).

    Returns:
      An accumulator; its result is at most 1, and NaN if nothing was counted or a target or
      prediction is not finite.

    Raises:
      TypeError: what is no real number, complex ones too.
      ValueError: the shapes differ, or do not begin with the shape of the weight; or a concrete
        weight is negative or not finite.

    >>> r2(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 3.0])).result()
    Array(0.5, dtype=float32)

    Source: Chan, Golub and LeVeque 1983, for how batches are merged.
    """
    residuals, targets = _residuals(predictions, targets), as_real("targets", targets)
    outputs = targets.shape[axes_of_examples("predictions", residuals, weight) :]
    if not residuals.size:
        return R2(*[jnp.zeros(outputs, residuals.dtype)] * 5)
    w, y, r = (
        part.reshape(-1, *outputs)
        for part in (weight_of(residuals, weight), targets.astype(residuals.dtype), residuals)
    )
    y, r = jnp.where(w > 0, y, 0), jnp.where(w > 0, r, 0)  # rows of weight 0 may be NaN
    count = w.sum(0)
    origin = jnp.take_along_axis(y, (w > 0).argmax(0)[None], axis=0)[0]
    from_origin = jnp.where(w > 0, y - origin[None], 0)
    offset = (w * from_origin).sum(0) / jnp.where(count > 0, count, 1)
    spread = (w * jnp.square(from_origin - offset[None])).sum(0)
    return R2(count, origin, offset, spread, (w * jnp.square(r)).sum(0))


def _residuals(predictions: Any, targets: Any) -> jax.Array:
    """Subtract in float32 or wider; refuse shapes that differ."""
    predictions, targets = as_real("predictions", predictions), as_real("targets", targets)
    check_same_shape("predictions", predictions.shape, targets.shape)
    return difference(predictions, targets)
