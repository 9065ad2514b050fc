"""Preprocessing as pure functions: fit on the training part, apply to all, invert.

Every method has three functions around a NamedTuple of arrays: `fit_…(x)` gives the state,
a second function applies it, and a third inverts it. The first axis of `x` counts examples.
NumPy in gives NumPy out, with statistics in float64; JAX arrays, traced or not, stay on the
device. `apply` and `invert` take the state of any method, so that code which serves a
trained model need not know which one it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
from jaxnn.data.preprocess.scaling import (
    MinMax,
    Robust,
    fit_min_max,
    fit_robust,
    min_max,
    robust,
    unmin_max,
    unrobust,
)
from jaxnn.data.preprocess.standardization import (
    Standardization,
    fit_standardize,
    standardize,
    unstandardize,
)
from jaxnn.data.preprocess.tables import TableEncoding, decode, encode
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

__all__ = [
    "FITS",
    "STATES",
    "Chain",
    "Method",
    "State",
    "apply",
    "check_state",
    "fit_method",
    "invert",
]


class Chain(NamedTuple):
    """State of several methods, applied one after the other.

    Fields:
      states: in the order of `apply`, such as a `TableEncoding` and a `Standardization`.
    """

    states: tuple[Any, ...]


State = (
    Standardization | Centering | MinMax | Robust | PCA | Whitening | ZCA | TableEncoding | Chain
)
Method = str | Callable[[Any], State]

FITS: dict[str, Callable[[Any], State]] = {
    "standardize": fit_standardize,
    "mean_image": fit_mean_image,
    "channel_mean": fit_channel_mean,
    "channel_standardize": fit_channel_standardize,
    "min_max": fit_min_max,
    "robust": fit_robust,
    "pca": fit_pca,
    "whiten": fit_whiten,
    "zca": fit_zca,
}


def _apply_all(chain: Chain, x: Any) -> Any:
    for state in chain.states:
        x = apply(state, x)
    return x


def _invert_all(chain: Chain, z: Any) -> Any:
    for state in reversed(chain.states):
        z = invert(state, z)
    return z


STATES: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Standardization: (standardize, unstandardize),
    Centering: (center, uncenter),
    MinMax: (min_max, unmin_max),
    Robust: (robust, unrobust),
    PCA: (pca, unpca),
    Whitening: (whiten, unwhiten),
    ZCA: (zca, unzca),
    TableEncoding: (encode, decode),
    Chain: (_apply_all, _invert_all),
}


def apply(state: State, x: Any) -> Any:
    """Apply fitted preprocessing to any part of the data, or to a new example.

    Args:
      state: returned by any `fit_…` of this package, such as `Data.preprocess`.
      x: (…, features), see the function of that method.

    Returns:
      The result of that method's function, such as `standardize` for a `Standardization`.

    Raises:
      TypeError: anything else as `state`; a sparse matrix, or entries that are no real numbers.
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
      TypeError: anything else as `state`; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> invert(fit_standardize(np.array([[1.0, 5.0], [3.0, 5.0]])), np.array([[1.0, 0.0]]))
    array([[3., 5.]])
    """
    check_state(state)
    _, backward = STATES[type(state)]
    return backward(state, z)


def fit_method(method: Method, argument: str = "preprocess") -> Callable[[Any], State]:
    """Look up a fit function by its name, or return the given function.

    >>> fit_method("zca").__name__
    'fit_zca'
    >>> fit_method("fourier")
    Traceback (most recent call last):
    ...
    ValueError: preprocess must be one of 'standardize', 'mean_image', 'channel_mean', \
'channel_standardize', 'min_max', 'robust', 'pca', 'whiten', 'zca', got 'fourier'
    """
    if callable(method):
        return method
    check_choice(argument, method, FITS)
    return FITS[method]


def check_state(state: Any, name: str = "state") -> None:
    """Refuse a state that no `fit_…` of this package returns."""
    if type(state) not in STATES:
        names = ", ".join(kind.__name__ for kind in STATES)
        raise TypeError(f"{name} must be one of {names}, got {state!r}")
