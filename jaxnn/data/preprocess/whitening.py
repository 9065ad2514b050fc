"""Whitening, which makes the covariance of the inputs the identity: by PCA, and ZCA.

The components, their order and sign, and directions of no variance are as in
`jaxnn.data.components`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob, is_concrete
from jaxnn.data.preprocess.components import backward, decompose, flat_basis, forward, product
from jaxnn.data.preprocess.moments import check_fitted, checked
from jaxnn.tree import check_held

__all__ = ["ZCA", "Whitening", "fit_whiten", "fit_zca", "unwhiten", "unzca", "whiten", "zca"]


class Whitening(NamedTuple):
    """State of `fit_whiten`: the fields of `PCA`, and the scalar `eps`."""

    mean: Any
    components: Any
    variance: Any
    eps: Any


class ZCA(NamedTuple):
    """State of `fit_zca`: the fields of `Whitening`, with all D components."""

    mean: Any
    components: Any
    variance: Any
    eps: Any


def fit_whiten(x: Any, n_components: int | None = None, *, eps: Any = 1e-5) -> Whitening:
    r"""Fit PCA whitening: the principal components and the variance along each.

    Args:
      x: (N, …) numbers, N at least 1, each example taken as D numbers. Use the training
        part only.
      n_components: K, at most min(N, D); None keeps that many.
      eps: added to the variances, at least 0, in units of `x` squared. It holds back the
        directions of least variance, which are mostly noise; with 0 the covariance of the
        training part becomes exactly the identity.

    Returns:
      The state for `whiten` and `unwhiten`.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, NaN or Inf among concrete values, more components than there
        are, or a negative `eps`.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> x = np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]])
    >>> whiten(fit_whiten(x, n_components=1, eps=0.0), x).round(3)
    array([[-1.225],
           [ 0.   ],
           [ 1.225]])

    Source: lecture S, data preprocessing.
    """
    mean, components, variance = decompose(checked(x), n_components, complete=False)
    return Whitening(mean, components, variance, _offset(eps, variance))


def whiten(state: Whitening, x: Any) -> Any:
    r"""Project onto the components and divide by the deviation along each (PCA whitening).

    $$z = (\Lambda + \epsilon)^{-1/2} \, V^\top (x - \mu)$$

    Args:
      state: from `fit_whiten` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      (…, K); of the dtype of `x` where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_whiten(np.array([[1.0, 5.0], [3.0, 5.0]]), eps=0.0)
    >>> whiten(state, np.array([[3.0, 5.0]]))
    array([[1., 0.]])
    """
    check_fitted(state, Whitening)
    deviation = _deviation(state)
    return forward(state, x, lambda coordinates: coordinates / deviation, state.variance.shape)


def unwhiten(state: Whitening, z: Any) -> Any:
    r"""Invert `whiten`: $x = V (\Lambda + \epsilon)^{1/2} z + \mu$.

    Exact for examples within the span of the components, see `unpca`.

    Args:
      state: from `fit_whiten`.
      z: (…, K), whitened.

    Returns:
      (…, features); of the dtype of `z` where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: not K coordinates.

    >>> state = fit_whiten(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> unwhiten(state, whiten(state, np.array([[2.5, 6.0]])))
    array([[2.5, 6. ]])
    """
    check_fitted(state, Whitening)
    deviation = _deviation(state)
    return backward(state, z, lambda coordinates: coordinates * deviation, state.variance.shape)


def fit_zca(x: Any, *, eps: Any = 1e-5) -> ZCA:
    r"""Fit ZCA whitening: all D principal components and the variance along each.

    Args:
      x: (N, …) numbers, N at least 1, each example taken as D numbers. Use the training
        part only.
      eps: added to the variances, at least 0, in units of `x` squared, see `fit_whiten`.

    Returns:
      The state for `zca` and `unzca`; it holds D² numbers.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, NaN or Inf among concrete values, or a negative `eps`.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> fit_zca(np.array([[1.0, 5.0], [3.0, 5.0]])).variance
    array([1., 0.])

    Source: lecture S, data preprocessing; Bell and Sejnowski 1997.
    """
    mean, components, variance = decompose(checked(x), None, complete=True)
    return ZCA(mean, components, variance, _offset(eps, variance))


def zca(state: ZCA, x: Any) -> Any:
    r"""Whiten examples, and rotate them back to stay as close to the originals as possible.

    $$z = V (\Lambda + \epsilon)^{-1/2} \, V^\top (x - \mu)$$

    Args:
      state: from `fit_zca` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      The same shape, so images stay images; of the dtype of `x` where that is floating,
      else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_zca(np.array([[1.0, 5.0], [3.0, 5.0]]), eps=0.0)
    >>> zca(state, np.array([[3.0, 5.0], [2.0, 6.0]]))
    array([[1., 0.],
           [0., 1.]])
    """
    check_fitted(state, ZCA)
    deviation, basis = _deviation(state), flat_basis(state)
    return forward(
        state, x, lambda coordinates: product(coordinates / deviation, basis), state.mean.shape
    )


def unzca(state: ZCA, z: Any) -> Any:
    r"""Invert `zca`: $x = V (\Lambda + \epsilon)^{1/2} \, V^\top z + \mu$.

    Args:
      state: from `fit_zca`.
      z: (…, features), whitened.

    Returns:
      The same shape; of the dtype of `z` where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> state = fit_zca(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> unzca(state, zca(state, np.array([[2.5, 6.0]])))
    array([[2.5, 6. ]])
    """
    check_fitted(state, ZCA)
    deviation, basis = _deviation(state), flat_basis(state)
    return backward(state, z, lambda flat: product(flat, basis.T) * deviation, state.mean.shape)


def _offset(eps: Any, variance: Any) -> Any:
    check_knob("eps", eps, 0)
    if isinstance(variance, jax.Array):
        check_held("eps", eps, variance)
        return jnp.asarray(eps, variance.dtype)
    return np.asarray(eps, np.float64) if is_concrete(eps) else eps


def _deviation(state: Whitening | ZCA) -> Any:
    """Compute the divisor of each coordinate, (1, K)."""
    differs = state.variance > 0
    return ((state.variance + state.eps) * differs + ~differs).reshape(1, -1) ** 0.5
