"""Preprocessing as pure functions: fit on the training part, apply to all, invert.

Every method has the same three functions around a NamedTuple of arrays: `fit_…(x)` gives
the state, the second function applies it, the third undoes that. The first axis of `x`
counts examples. NumPy in gives NumPy out, with statistics in float64; JAX arrays, traced
or not, stay on the device.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import is_concrete
from jaxnn.data.validate import as_dense, check_batch

__all__ = ["Standardization", "fit_standardize", "standardize", "unstandardize"]

_SPARSE_ABOVE = 0.9  # of the entries zero; MNIST, where standardizing is customary, has 0.81


class Standardization(NamedTuple):
    """What `fit_standardize` learned: statistics of each feature over the examples.

    Fields:
      mean: one example's shape; float64 from NumPy input, float32 or wider from JAX input.
      deviation: the same shape and dtype, above 0.
    """

    mean: Any
    deviation: Any


def fit_standardize(x: Any) -> Standardization:
    r"""The mean and deviation of each feature of the training examples.

    $$\mu = \frac{1}{N} \sum_i x_i, \qquad \sigma = \sqrt{\frac{1}{N} \sum_i (x_i - \mu)^2}$$

    The divisor is N, as in scikit-learn, not N − 1. A constant feature gets σ = 1, so
    that it becomes 0 instead of a division by zero.

    Args:
      x: (N, …) numbers, N at least 1. Use the training part only.

    Returns:
      The state for `standardize` and `unstandardize`.

    Raises:
      TypeError: a sparse matrix, or entries that are no numbers.
      ValueError: no examples, or NaN or Inf among concrete values.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0; subtracting the mean makes
        them dense.

    >>> fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    Standardization(mean=array([2., 5.]), deviation=array([1., 1.]))

    Source: lecture L, normalization of the data; lecture S.
    """
    x = as_dense("x", x)
    if is_concrete(x):
        check_batch("x", x)
        _warn_if_sparse(np.asarray(x))
    wide = x.astype(
        jnp.promote_types(x.dtype, jnp.float32) if isinstance(x, jax.Array) else np.float64
    )
    # The sum of equal numbers, divided, is not exactly that number. Measured from the
    # first example a constant feature is exactly 0, and a large offset costs no digits.
    shifted = wide - wide[:1]
    deviation = shifted.std(axis=0)
    return Standardization(wide[0] + shifted.mean(axis=0), deviation + (deviation == 0))


def standardize(state: Standardization, x: Any) -> Any:
    r"""Examples with the fitted mean taken away and divided by the fitted deviation.

    $$z = (x - \mu) / \sigma$$

    Args:
      state: from `fit_standardize` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: a sparse matrix.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> standardize(state, np.array([[3, 5], [2, 6]], np.uint8))
    array([[1., 0.],
           [0., 1.]], dtype=float32)

    Source: lecture L, normalization of the data.
    """
    x = as_dense("x", x)
    mean, deviation = (_align("x", x, statistic) for statistic in state)
    return ((x - mean) / deviation).astype(_floating_dtype(x))


def unstandardize(state: Standardization, z: Any) -> Any:
    r"""The inverse of `standardize`: $x = z \sigma + \mu$.

    Args:
      state: from `fit_standardize`.
      z: (…, features), standardized.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: a sparse matrix.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> unstandardize(state, np.array([[1.0, 0.0]]))
    array([[3., 5.]])
    """
    z = as_dense("z", z)
    mean, deviation = (_align("z", z, statistic) for statistic in state)
    return (z * deviation + mean).astype(_floating_dtype(z))


def _warn_if_sparse(x: np.ndarray) -> None:
    zeros = 1 - np.count_nonzero(x) / x.size
    if zeros > _SPARSE_ABOVE:
        warnings.warn(
            f"{zeros:.0%} of the entries of x are 0; subtracting the mean destroys this "
            "sparsity. Sparse features are better left as they are",
            UserWarning,
            stacklevel=3,
        )


def _align(name: str, x: Any, statistic: Any) -> Any:
    """`statistic` with axes of length 1 in front, as many as `x` has more."""
    extra = x.ndim - statistic.ndim
    if extra < 0 or x.shape[extra:] != statistic.shape:
        raise ValueError(
            f"{name} must have the fitted features, shape (..., "
            f"{', '.join(map(str, statistic.shape))}), got shape {x.shape}"
        )
    return statistic.reshape((1,) * extra + statistic.shape)


def _floating_dtype(x: Any) -> Any:
    return x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else np.float32
