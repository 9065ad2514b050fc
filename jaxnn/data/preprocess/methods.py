"""Preprocessing as pure functions: fit on the training part, apply to all, invert.

Every method has three functions around a NamedTuple of arrays: `fit_…(x)` gives the state,
a second function applies it, and a third inverts it. The first axis of `x` counts examples.
NumPy in gives NumPy out, with statistics in float64; JAX arrays, traced or not, stay on the
device. `apply` and `invert` take the state of any method, so that code which serves a
trained model need not know which one it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxnn.arguments import check_choice
from jaxnn.data.preprocess.components import PCA, fit_pca, pca, unpca
from jaxnn.data.preprocess.images import (
    Centering,
    center,
    fit_channel_mean,
    fit_channel_standardize,
    fit_mean_image,
    uncenter,
)
from jaxnn.data.preprocess.standardization import (
    Standardization,
    fit_standardize,
    standardize,
    unstandardize,
)
from jaxnn.data.preprocess.whitening import (
    ZCA,
    Whitening,
    fit_whiten,
    fit_zca,
    unwhiten,
    unzca,
    whiten,
    zca,
)

__all__ = ["FITS", "STATES", "Method", "State", "apply", "check_state", "fit_method", "invert"]

State = Standardization | Centering | PCA | Whitening | ZCA
Method = str | Callable[[Any], State]

FITS: dict[str, Callable[[Any], State]] = {
    "standardize": fit_standardize,
    "mean_image": fit_mean_image,
    "channel_mean": fit_channel_mean,
    "channel_standardize": fit_channel_standardize,
    "pca": fit_pca,
    "whiten": fit_whiten,
    "zca": fit_zca,
}

STATES: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Standardization: (standardize, unstandardize),
    Centering: (center, uncenter),
    PCA: (pca, unpca),
    Whitening: (whiten, unwhiten),
    ZCA: (zca, unzca),
}


def apply(state: State, x: Any) -> Any:
    """Apply fitted preprocessing to any part of the data, or to a new example.

    Args:
      state: returned by any `fit_…` of this package, such as `Data.preprocess`.
      x: (…, features), see the function of that method.

    Returns:
      The result of that method's function, such as `standardize` for a `Standardization`.

    Raises:
      TypeError: anything else as `state`; a sparse matrix.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> apply(fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]])), np.array([[3.0, 5.0]]))
    array([[1., 0.]])
    """
    check_state(state)
    forward, _ = STATES[type(state)]
    return forward(state, x)


def invert(state: State, z: Any) -> Any:
    """Invert `apply`.

    Args:
      state: returned by any `fit_…` of this package.
      z: the result of `apply`.

    Returns:
      The result of that method's inverse.

    Raises:
      TypeError: anything else as `state`; a sparse matrix.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> invert(fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]])), np.array([[1.0, 0.0]]))
    array([[3., 5.]])
    """
    check_state(state)
    _, backward = STATES[type(state)]
    return backward(state, z)


def fit_method(method: Method) -> Callable[[Any], State]:
    """Look up a fit function by its name, or return the given function.

    >>> fit_method("zca").__name__
    'fit_zca'
    >>> fit_method("fourier")
    Traceback (most recent call last):
    ...
    ValueError: preprocess must be one of 'standardize', 'mean_image', 'channel_mean', \
'channel_standardize', 'pca', 'whiten', 'zca', got 'fourier'
    """
    if callable(method):
        return method
    check_choice("preprocess", method, FITS)
    return FITS[method]


def check_state(state: Any) -> None:
    """Refuse a state that no `fit_…` of this package returns."""
    if type(state) not in STATES:
        names = ", ".join(kind.__name__ for kind in STATES)
        raise TypeError(f"state must be one of {names}, got {state!r}")
