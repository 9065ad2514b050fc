"""What all preprocessing shares: checks, statistics over examples, work in blocks of rows.

Host arrays are widened to float64 a few rows at a time: a whole data set in float64 would
cost more in fresh memory than in arithmetic. JAX arrays, traced or not, are taken whole.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import is_concrete
from jaxnn.data.validate import as_dense, check_batch

__all__ = [
    "align",
    "check_features",
    "check_fitted",
    "checked",
    "floating_dtype",
    "in_blocks",
    "moments",
    "quantiles",
    "real_numbers",
    "row_blocks",
    "widened",
]

_SPARSE_ABOVE = 0.9  # of the entries zero; MNIST, where standardizing is customary, has 0.81
_REAL = (jnp.integer, jnp.floating, jnp.bool_)
_QUANTILE_BLOCK = 2**20  # numbers that are sorted at once
_BLOCK = 2**16  # numbers: half a megabyte in float64, which stays in the cache


def checked(x: Any, dense: bool = True) -> Any:
    """Check that `x` is an array of finite real numbers.

    Args:
      x: what the user gave.
      dense: whether the method makes zeros dense, so that it warns where most entries are 0.
    """
    x = real_numbers("x", x)
    if is_concrete(x):
        check_batch("x", x)
        if dense:
            _warn_if_sparse(np.asarray(x))
    return x


def real_numbers(name: str, values: Any) -> Any:
    """Return `values` as an array; refuse entries that are no real numbers.

    >>> real_numbers("x", [1j])
    Traceback (most recent call last):
    ...
    TypeError: x must hold real numbers, got dtype complex128
    """
    values = as_dense(name, values)
    is_time = getattr(values.dtype, "kind", "") in ("m", "M")  # an integer to NumPy
    is_number = any(jnp.issubdtype(values.dtype, kind) for kind in _REAL)
    if is_time or not is_number:
        raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
    return values


def check_fitted(state: Any, kind: type) -> None:
    """Refuse a state that is of another kind than the function works with.

    >>> check_fitted((0.0, 1.0), float)
    Traceback (most recent call last):
    ...
    TypeError: state must be a float, as its fit function returns, got (0.0, 1.0)
    """
    if not isinstance(state, kind):
        raise TypeError(
            f"state must be a {kind.__name__}, as its fit function returns, got {state!r}"
        )


def _warn_if_sparse(x: np.ndarray) -> None:
    zeros = 1 - np.count_nonzero(x) / max(x.size, 1)
    if zeros > _SPARSE_ABOVE:
        warnings.warn(
            f"{zeros:.0%} of the entries of x are 0; subtracting the mean destroys this "
            "sparsity. Sparse features are better left as they are",
            UserWarning,
            stacklevel=4,
        )


def widened(x: Any) -> Any:
    """Convert `x` to the dtype of its statistics: float64 on the host, else float32 or wider."""
    if isinstance(x, jax.Array):
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return x.astype(np.float64)


def moments(x: Any) -> tuple[Any, Any]:
    """Compute the mean and variance (divisor N) of each feature over the first axis.

    The sum of equal numbers, divided, is not exactly that number. Measured from the first
    example a constant feature has exactly its value as mean and exactly 0 as variance, and
    a large offset costs no digits.

    >>> moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 0.]))
    """
    if isinstance(x, jax.Array):
        wide = widened(x)
        shifted = wide - wide[:1]
        return wide[0] + shifted.mean(axis=0), shifted.var(axis=0)
    first = widened(x[0])
    count, mean, squares = 0, np.zeros_like(first), np.zeros_like(first)
    for block in row_blocks(x):
        # Chan's update: the block's own moments, then the two sets of moments together.
        shifted = widened(block) - first
        block_mean = shifted.sum(axis=0) / len(block)
        shifted -= block_mean
        shifted *= shifted
        delta = block_mean - mean
        total = count + len(block)
        mean = mean + delta * (len(block) / total)
        squares = squares + shifted.sum(axis=0) + delta**2 * (count * len(block) / total)
        count = total
    return first + mean, squares / count


def quantiles(x: Any, shares: tuple[Any, ...]) -> tuple[Any, ...]:
    """Compute quantiles of each feature over the first axis, an array of them for each share.

    >>> quantiles(np.array([[1.0], [2.0], [4.0]]), (0.5,))
    (array([2.]),)
    """
    if isinstance(x, jax.Array) or not all(map(is_concrete, shares)):
        wide = widened(jnp.asarray(x))
        return tuple(jnp.quantile(wide, jnp.asarray(share, wide.dtype), axis=0) for share in shares)
    flat = x.reshape(len(x), -1)
    columns = max(1, _QUANTILE_BLOCK // len(x))
    blocks = [
        np.quantile(widened(flat[:, start : start + columns]), np.asarray(shares, float), axis=0)
        for start in range(0, flat.shape[1], columns)
    ]
    found = np.concatenate(blocks, axis=1) if blocks else np.zeros((len(shares), 0))
    return tuple(found.reshape(len(shares), *x.shape[1:]))


def row_blocks(x: np.ndarray, numbers: int = _BLOCK) -> Iterator[np.ndarray]:
    """Iterate over `x` in blocks of about `numbers` entries and at least 8 rows."""
    rows = max(8, numbers * len(x) // max(x.size, 1))
    return (x[start : start + rows] for start in range(0, len(x), rows))


def in_blocks(
    function: Callable[[Any], Any],
    state: Any,
    x: Any,
    example_ndim: int,
    numbers: int = _BLOCK,
) -> Any:
    """Compute `function(x)`, for host arrays in blocks of rows.

    Args:
      function: of x alone, independent from row to row.
      state: the arrays that `function` closes over.
      x: array; with no more than `example_ndim` axes it is a single example.
      example_ndim: number of axes of an example.
      numbers: of `x` in a block.

    Returns:
      The same as `function(x)`.
    """
    if _on_device(state, x) or x.ndim <= example_ndim or x.size <= numbers:
        return function(x)
    blocks = row_blocks(x, numbers)
    done = function(next(blocks))
    result = np.empty((len(x), *done.shape[1:]), done.dtype)
    result[: len(done)] = done
    start = len(done)
    for block in blocks:
        result[start : start + len(block)] = function(block)
        start += len(block)
    return result


def align(name: str, x: Any, statistic: Any) -> Any:
    """Give `statistic` leading axes of length 1 until it has as many axes as `x`."""
    check_features(name, x, statistic.shape)
    return statistic.reshape((1,) * (x.ndim - statistic.ndim) + statistic.shape)


def check_features(name: str, x: Any, shape: tuple[int, ...]) -> None:
    """Refuse an `x` whose last axes are not `shape`."""
    extra = x.ndim - len(shape)
    if extra < 0 or x.shape[extra:] != shape:
        raise ValueError(
            f"{name} must have the fitted features, shape (..., "
            f"{', '.join(map(str, shape))}), got shape {x.shape}"
        )


def floating_dtype(state: Any, x: Any) -> Any:
    """Return the dtype of a result: that of `x` where it is floating, else float32."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return np.dtype(np.float32)
    # A state on the device gives float32 from float64 on the host, unless x64 is on.
    return jax.dtypes.canonicalize_dtype(x.dtype) if _on_device(state, x) else x.dtype


def _on_device(state: Any, x: Any) -> bool:
    return any(isinstance(value, jax.Array) for value in (x, *state))
