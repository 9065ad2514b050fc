"""Standardization: mean 0 and deviation 1 for every feature of the training part."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxnn.data.preprocess.moments import (
    align,
    check_fitted,
    checked,
    floating_dtype,
    in_blocks,
    moments,
    real_numbers,
)

__all__ = ["Standardization", "fit_standardize", "standardization", "standardize", "unstandardize"]


class Standardization(NamedTuple):
    """State of `fit_standardize` and `fit_channel_standardize`.

    Fields:
      mean: one example's shape, or (channels,); float64 from NumPy input, float32 or
        wider from JAX input.
      deviation: the same shape and dtype, above 0.
    """

    mean: Any
    deviation: Any


def fit_standardize(x: Any) -> Standardization:
    r"""Fit the mean and deviation of each feature of the training examples.

    $$\mu = \frac{1}{N} \sum_i x_i, \qquad \sigma = \sqrt{\frac{1}{N} \sum_i (x_i - \mu)^2}$$

    The divisor is N, as in scikit-learn, not N − 1. A constant feature gets σ = 1, so
    that it becomes 0 instead of a division by zero.

    Args:
      x: (N, …) numbers, N at least 1. Use the training part only.

    Returns:
      The state for `standardize` and `unstandardize`.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, or NaN or Inf among concrete values.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0; subtracting the mean makes
        them dense.

    >>> import numpy as np
    >>> fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    Standardization(mean=array([2., 5.]), deviation=array([1., 1.]))

    Source: lecture L, normalization of the data; lecture S.
    """
    return standardization(*moments(checked(x)))


def standardization(mean: Any, variance: Any) -> Standardization:
    """Make the state of a mean and a variance; a variance of 0 gives a deviation of 1."""
    return Standardization(mean, variance**0.5 + (variance == 0))


def standardize(state: Standardization, x: Any) -> Any:
    r"""Subtract the fitted mean and divide by the fitted deviation.

    $$z = (x - \mu) / \sigma$$

    Args:
      state: from `fit_standardize` or `fit_channel_standardize` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> state = fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> standardize(state, np.array([[3, 5], [2, 6]], np.uint8))
    array([[1., 0.],
           [0., 1.]], dtype=float32)

    Source: lecture L, normalization of the data; lecture S.
    """
    check_fitted(state, Standardization)
    x = real_numbers("x", x)
    mean, deviation = (align("x", x, statistic) for statistic in state)
    dtype = floating_dtype(state, x)
    return in_blocks(
        lambda rows: ((rows - mean) / deviation).astype(dtype), state, x, state.mean.ndim
    )


def unstandardize(state: Standardization, z: Any) -> Any:
    r"""Invert `standardize`: $x = z \sigma + \mu$.

    Args:
      state: from `fit_standardize` or `fit_channel_standardize`.
      z: (…, features), standardized.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> state = fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> unstandardize(state, np.array([[1.0, 0.0]]))
    array([[3., 5.]])
    """
    check_fitted(state, Standardization)
    z = real_numbers("z", z)
    mean, deviation = (align("z", z, statistic) for statistic in state)
    dtype = floating_dtype(state, z)
    return in_blocks(
        lambda rows: (rows * deviation + mean).astype(dtype), state, z, state.mean.ndim
    )
