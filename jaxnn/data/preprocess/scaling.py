"""Min-max scaling to a given range, and robust scaling by the median and a range of quantiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob, is_concrete
from jaxnn.data.preprocess.moments import (
    align,
    check_fitted,
    checked,
    floating_dtype,
    in_blocks,
    quantiles,
    real_numbers,
    widened,
)

__all__ = [
    "MinMax",
    "Robust",
    "fit_min_max",
    "fit_robust",
    "min_max",
    "robust",
    "unmin_max",
    "unrobust",
]


class MinMax(NamedTuple):
    """State of `fit_min_max`: float64 from NumPy input, float32 or wider from JAX input.

    Fields:
      minimum: one example's shape.
      extent: maximum less minimum, the same shape, above 0; 1 where a feature is constant.
      low: scalar, what the minimum becomes.
      high: scalar, what the maximum becomes.
    """

    minimum: Any
    extent: Any
    low: Any
    high: Any


class Robust(NamedTuple):
    """State of `fit_robust`: float64 from NumPy input, float32 or wider from JAX input.

    Fields:
      median: one example's shape.
      spread: the distance of the two quantiles, the same shape, above 0; 1 where it was 0.
    """

    median: Any
    spread: Any


def fit_min_max(x: Any, low: Any = 0.0, high: Any = 1.0) -> MinMax:
    """Fit the minimum and the maximum of each feature of the training examples.

    A constant feature has an extent of 1, so that it becomes `low` instead of a division by
    zero. scikit-learn takes a feature for constant already where its extent is below 2.2e-15;
    here it is one only where all values are equal, whatever the unit.

    Args:
      x: (N, …) numbers, N at least 1. Use the training part only.
      low: what the minimum becomes.
      high: what the maximum becomes, above `low`.

    Returns:
      The state for `min_max` and `unmin_max`.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, NaN or Inf among concrete values, or `high` not above `low`.

    >>> state = fit_min_max(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> state.minimum, state.extent
    (array([1., 5.]), array([2., 1.]))

    Source: practice; the numbers are those of scikit-learn's MinMaxScaler.
    """
    check_knob("low", low)
    check_knob("high", high)
    _check_order(low, high)
    x = checked(x, dense=False)
    minimum = widened(x.min(axis=0))
    extent = widened(x.max(axis=0)) - minimum
    return MinMax(minimum, extent + (extent == 0), *(_as(bound, minimum) for bound in (low, high)))


def min_max(state: MinMax, x: Any) -> Any:
    r"""Scale each feature so that the training part spans the range from low to high.

    $$z = l + \frac{x - \min}{\max - \min} (h - l)$$

    Values of other parts may lie outside of the range.

    Args:
      state: from `fit_min_max` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_min_max(np.array([[1.0], [3.0]]), low=-1.0)
    >>> min_max(state, np.array([[1.0], [2.0], [5.0]]))
    array([[-1.],
           [ 0.],
           [ 3.]])
    """
    x, minimum, extent = _aligned(state, MinMax, "x", x)
    width = state.high - state.low
    return _by_rows(lambda rows: state.low + (rows - minimum) / extent * width, state, x)


def unmin_max(state: MinMax, z: Any) -> Any:
    r"""Invert `min_max`: $x = \min + (z - l) (\max - \min) / (h - l)$.

    Args:
      state: from `fit_min_max`.
      z: (…, features), scaled.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> unmin_max(fit_min_max(np.array([[1.0], [3.0]])), np.array([[0.5]]))
    array([[2.]])
    """
    z, minimum, extent = _aligned(state, MinMax, "z", z)
    width = state.high - state.low
    return _by_rows(lambda rows: minimum + (rows - state.low) / width * extent, state, z)


def fit_robust(x: Any, low: Any = 0.25, high: Any = 0.75) -> Robust:
    """Fit the median of each feature of the training examples, and the distance of two quantiles.

    Few extreme values move neither, whereas a single one can move mean and deviation anywhere.
    Where both quantiles are equal the spread is 1.

    Args:
      x: (N, …) numbers, N at least 1. Use the training part only.
      low: the lower quantile, in [0, 1).
      high: the upper quantile, in (0, 1], above `low`. By default both are the quartiles.

    Returns:
      The state for `robust` and `unrobust`.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, NaN or Inf among concrete values, or quantiles out of range.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> fit_robust(np.array([[1.0], [2.0], [3.0], [4.0], [500.0]]))
    Robust(median=array([3.]), spread=array([2.]))

    Source: practice; the numbers are those of scikit-learn's RobustScaler.
    """
    check_knob("low", low, 0, 1, high_open=True)
    check_knob("high", high, 0, 1, low_open=True)
    _check_order(low, high)
    lower, median, upper = quantiles(checked(x), (low, 0.5, high))
    spread = upper - lower
    return Robust(median, spread + (spread == 0))


def robust(state: Robust, x: Any) -> Any:
    r"""Subtract the fitted median and divide by the fitted spread, $z = (x - m) / s$.

    Args:
      state: from `fit_robust` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> robust(fit_robust(np.array([[1.0], [2.0], [3.0]])), np.array([[4.0]]))
    array([[2.]])
    """
    x, median, spread = _aligned(state, Robust, "x", x)
    return _by_rows(lambda rows: (rows - median) / spread, state, x)


def unrobust(state: Robust, z: Any) -> Any:
    r"""Invert `robust`: $x = z s + m$.

    Args:
      state: from `fit_robust`.
      z: (…, features), scaled.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> unrobust(fit_robust(np.array([[1.0], [2.0], [3.0]])), np.array([[2.0]]))
    array([[4.]])
    """
    z, median, spread = _aligned(state, Robust, "z", z)
    return _by_rows(lambda rows: rows * spread + median, state, z)


def _check_order(low: Any, high: Any) -> None:
    if is_concrete(low) and is_concrete(high) and not float(high) > float(low):
        raise ValueError(f"high must be above low, {float(low):g}, got {float(high):g}")


def _aligned(state: Any, kind: type, name: str, x: Any) -> tuple[Any, Any, Any]:
    """Check a state and examples; return the examples, and the state's place and size for them."""
    check_fitted(state, kind)
    x = real_numbers(name, x)
    place, size = (align(name, x, statistic) for statistic in state[:2])
    return x, place, size


def _by_rows(function: Any, state: Any, x: Any) -> Any:
    dtype = floating_dtype(state, x)
    return in_blocks(lambda rows: function(rows).astype(dtype), state, x, state[0].ndim)


def _as(bound: Any, like: Any) -> Any:
    if isinstance(like, jax.Array) or not is_concrete(bound):
        return jnp.asarray(bound, like.dtype)
    return np.asarray(bound, np.float64)
