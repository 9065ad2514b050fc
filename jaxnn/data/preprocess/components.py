"""Principal component analysis, on which whitening is built too.

One decomposition of the centered training examples serves PCA and both whitenings,
$X - \\mu = U S V^\\top$: the rows of $V^\\top$ are the components, and $\\lambda = S^2 / N$ is
the variance along each.

- The divisor is N, as in `fit_standardize`; scikit-learn's `explained_variance_` has N − 1.
- The sign of a component is such that its largest entry by magnitude is positive, or the
  first of them where several are within 0.1 %. Components of equal variance may still be
  any basis of the space they span.
- A direction in which the training examples do not differ (a constant feature, features
  that depend on each other, fewer examples than features) has variance exactly 0: below
  D ε of the largest deviation, with D features and ε the rounding of the statistics. There
  the deviation divided by is 1, as for a constant feature in `fit_standardize`: training
  examples become 0, nothing is blown up, and the inverse stays exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.preprocess.moments import (
    align,
    check_features,
    check_fitted,
    checked,
    floating_dtype,
    in_blocks,
    moments,
    real_numbers,
    row_blocks,
    widened,
)

__all__ = [
    "PCA",
    "backward",
    "decompose",
    "fit_pca",
    "flat_basis",
    "forward",
    "pca",
    "product",
    "unpca",
]

_BLOCK = 2**20  # numbers: enough rows for matrix products to run at full speed


class PCA(NamedTuple):
    """State of `fit_pca`: float64 from NumPy input, float32 or wider from JAX input.

    Fields:
      mean: one example's shape.
      components: (K, …one example's shape), orthonormal, by falling variance.
      variance: (K,) along each component, exactly 0 where the examples do not differ.
    """

    mean: Any
    components: Any
    variance: Any


def fit_pca(x: Any, n_components: int | None = None) -> PCA:
    r"""Fit the principal components of the training examples.

    Args:
      x: (N, …) numbers, N at least 1, each example taken as D numbers. Use the training
        part only.
      n_components: K, at most min(N, D); None keeps that many.

    Returns:
      The state for `pca` and `unpca`.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, NaN or Inf among concrete values, or more components than
        there are.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> fit_pca(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]])).variance.round(3)
    array([5.333, 0.   ])

    Source: lecture S, data preprocessing; Pearson 1901.
    """
    return PCA(*decompose(checked(x), n_components, complete=False))


def pca(state: PCA, x: Any) -> Any:
    r"""Project examples onto the principal components, $z = V^\top (x - \mu)$.

    Args:
      state: from `fit_pca` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      (…, K); of the dtype of `x` where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_pca(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]]), n_components=1)
    >>> pca(state, np.array([[4.0, 4.0]])).round(3)
    array([[1.414]])
    """
    check_fitted(state, PCA)
    return forward(state, x, lambda coordinates: coordinates, state.variance.shape)


def unpca(state: PCA, z: Any) -> Any:
    r"""Invert `pca`: $x = V z + \mu$.

    Exact for examples within the span of the components; of others, as with fewer
    components than features, it gives the closest point of that span.

    Args:
      state: from `fit_pca`.
      z: (…, K) coordinates.

    Returns:
      (…, features); of the dtype of `z` where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: not K coordinates.

    >>> state = fit_pca(np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]]), n_components=1)
    >>> unpca(state, pca(state, np.array([[4.0, 4.0]])))
    array([[4., 4.]])
    """
    check_fitted(state, PCA)
    return backward(state, z, lambda coordinates: coordinates, state.variance.shape)


def decompose(x: Any, n_components: int | None, *, complete: bool) -> tuple[Any, Any, Any]:
    """Compute the mean, the components and the variances of a checked `x`.

    Args:
      x: (N, …).
      n_components: as in `fit_pca`.
      complete: whether to fill the components up to D with directions of variance 0.

    Returns:
      Of shapes (…), (K, …) and (K,).
    """
    n, shape = len(x), x.shape[1:]
    most = min(n, x[0].size)
    if n_components is not None and check_positive_int("n_components", n_components) > most:
        raise ValueError(
            f"n_components must be at most min(examples, features) = {most}, got {n_components}"
        )
    # Any, because the code below serves NumPy and JAX alike.
    xp: Any = jnp if isinstance(x, jax.Array) else np
    mean, triangle = _mean_and_triangle(x)
    _, deviations, basis = xp.linalg.svd(triangle, full_matrices=complete)
    floor = basis.shape[1] * xp.finfo(deviations.dtype).eps * deviations[:1]
    variance = xp.where(deviations > floor, deviations, 0) ** 2 / n
    variance = xp.pad(variance, (0, len(basis) - len(variance)))
    magnitude = abs(basis)
    # Of entries equal but for rounding the first decides, in any precision.
    leading = (magnitude >= 0.999 * magnitude.max(axis=1, keepdims=True)).argmax(axis=1)
    basis = basis * xp.sign(xp.take_along_axis(basis, leading[:, None], axis=1))
    kept = slice(n_components)
    return mean, basis[kept].reshape(-1, *shape), variance[kept]


def _mean_and_triangle(x: Any) -> tuple[Any, Any]:
    """Compute the mean, and the R of the QR decomposition of the centered examples.

    R has the singular values and components of the examples, and at most D rows. Unlike
    the covariance it does not square the deviations, which would cost half of the digits.
    """
    mean, _ = moments(x)
    if isinstance(x, jax.Array):
        shifted = widened(x) - widened(x[:1])
        centered = (shifted - shifted.mean(axis=0, keepdims=True)).reshape(len(x), -1)
        return mean, jnp.linalg.qr(centered, mode="r")
    triangle = np.zeros((0, mean.size))
    for block in row_blocks(x, max(_BLOCK, 4 * mean.size**2)):
        centered = (widened(block) - mean).reshape(len(block), -1)
        triangle = np.linalg.qr(np.concatenate([triangle, centered]), mode="r")
    return mean, triangle


def forward(state: Any, x: Any, finish: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """Project examples to coordinates (rows, K), then apply `finish` for (rows, …`shape`)."""
    x = real_numbers("x", x)
    mean, dtype = align("x", x, state.mean), floating_dtype(state, x)
    axes, basis = state.mean.ndim, flat_basis(state)

    def compute(rows: Any) -> Any:
        leading = rows.shape[: rows.ndim - axes]
        coordinates = product((rows - mean).reshape(-1, basis.shape[1]), basis.T)
        return finish(coordinates).reshape(*leading, *shape).astype(dtype)

    return in_blocks(compute, state, x, axes, _BLOCK)


def backward(state: Any, z: Any, start: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """Invert `forward`: `start` maps (rows, flattened `shape`) to coordinates (rows, K)."""
    z = real_numbers("z", z)
    check_features("z", z, shape)
    dtype, basis = floating_dtype(state, z), flat_basis(state)
    example, size = state.mean.shape, math.prod(shape)

    def compute(rows: Any) -> Any:
        leading = rows.shape[: rows.ndim - len(shape)]
        flat = product(start(rows.reshape(-1, size)), basis) + state.mean.reshape(1, -1)
        return flat.reshape(*leading, *example).astype(dtype)

    return in_blocks(compute, state, z, len(shape), _BLOCK)


def flat_basis(state: Any) -> Any:
    """Return the components of a state as a matrix (K, D)."""
    return state.components.reshape(len(state.components), -1)


def product(a: Any, b: Any) -> Any:
    """Compute `a @ b` without the rounding of inputs that accelerators do by default."""
    if isinstance(a, jax.Array) or isinstance(b, jax.Array):
        return jnp.matmul(a, b, precision="highest")
    return a @ b
