"""Save and load fitted preprocessing, for the code that serves the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data.preprocess.components import PCA
from jaxnn.data.preprocess.images import Centering
from jaxnn.data.preprocess.methods import STATES, State, check_state
from jaxnn.data.preprocess.standardization import Standardization
from jaxnn.data.readers.npz import read_npz

__all__ = ["load_state", "save_state"]

_KIND = "state"


def save_state(path: str | os.PathLike[str], state: State) -> None:
    """Write a fitted state to an `.npz` file of plain arrays, whatever its name.

    Args:
      path: the file; one that is there is replaced.
      state: returned by any `fit_…` of this package, such as `Data.preprocess`.

    Raises:
      TypeError: anything else.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "inputs.npz"
    >>> save_state(path, Centering(np.array([1.0, 2.0])))
    >>> load_state(path)
    Centering(mean=array([1., 2.]))
    """
    check_state(state)
    arrays: dict[str, Any] = {_KIND: np.asarray(type(state).__name__)}
    arrays |= {field: np.asarray(value) for field, value in state._asdict().items()}
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)


def load_state(path: str | os.PathLike[str]) -> State:
    """Read a state that `save_state` wrote, bit for bit.

    Args:
      path: the file. It may come from anywhere: nothing is unpickled.

    Returns:
      The state, of NumPy arrays.

    Raises:
      FileNotFoundError: no such file.
      ValueError: any other file, or one that is damaged.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "inputs.npz"
    >>> save_state(path, Standardization(np.zeros(2), np.ones(2)))
    >>> load_state(path)
    Standardization(mean=array([0., 0.]), deviation=array([1., 1.]))
    """
    arrays = read_npz(path)
    kinds: dict[str, Any] = {kind.__name__: kind for kind in STATES}
    kind = kinds.get(str(arrays.pop(_KIND, None)))
    if kind is None or set(arrays) != set(kind._fields):
        raise ValueError(f"{path} must be a file written by save_state, got other contents")
    state = kind(**arrays)
    if not _is_sound(state):
        raise ValueError(f"{path} holds a {kind.__name__} whose arrays do not fit each other")
    return state


def _is_sound(state: State) -> bool:
    if not all(leaf.dtype.kind == "f" and np.isfinite(leaf).all() for leaf in state):
        return False
    if isinstance(state, Centering):
        return True
    if isinstance(state, Standardization):
        return state.mean.shape == state.deviation.shape and bool((state.deviation > 0).all())
    shapes = (len(state.variance), *state.mean.shape)
    fits = state.variance.ndim == 1 and state.components.shape == shapes
    eps = np.zeros(()) if isinstance(state, PCA) else state.eps
    return fits and bool((state.variance >= 0).all()) and eps.shape == () and bool(eps >= 0)
