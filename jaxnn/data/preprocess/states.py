"""Save and load fitted preprocessing, for the code that serves the model."""

from __future__ import annotations

import json
import os

import numpy as np

from jaxnn.arguments import check_path
from jaxnn.data.preprocess.methods import State, check_state
from jaxnn.data.preprocess.stored import describe_preprocess, restore_preprocess
from jaxnn.data.readers.npz import read_npz

__all__ = ["load_state", "save_state"]

_DESCRIPTION = "state"


def save_state(path: str | os.PathLike[str], state: State) -> None:
    """Write a fitted state to an `.npz` file of plain arrays, whatever its name.

    Args:
      path: the file; one that is there is replaced.
      state: returned by any `fit_…` of this package, such as `Data.preprocess`.

    Raises:
      TypeError: anything else.

    >>> import pathlib, tempfile
    >>> from jaxnn.data import Centering
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "inputs.npz"
    >>> save_state(path, Centering(np.array([1.0, 2.0])))
    >>> load_state(path)
    Centering(mean=array([1., 2.]))
    """
    path = check_path("path", path)
    check_state(state)
    described, arrays = describe_preprocess(state)
    with path.open("wb") as file:
        text = np.asarray(json.dumps(described))
        np.savez(file, **{_DESCRIPTION: text}, **arrays)  # type: ignore[arg-type]  # are arrays


def load_state(path: str | os.PathLike[str]) -> State:
    """Read a state that `save_state` wrote, bit for bit.

    Args:
      path: the file. It may come from anywhere: nothing is unpickled.

    Returns:
      The state, of NumPy arrays.

    Raises:
      FileNotFoundError: no such file.
      ValueError: any other file, or one that is damaged.

    >>> import pathlib, tempfile
    >>> from jaxnn.data import Standardization
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "inputs.npz"
    >>> save_state(path, Standardization(np.zeros(2), np.ones(2)))
    >>> load_state(path)
    Standardization(mean=array([0., 0.]), deviation=array([1., 1.]))
    """
    path = check_path("path", path)
    arrays = dict(read_npz(path))
    text = str(arrays.pop(_DESCRIPTION, None))
    try:
        # Files of earlier versions hold the kind alone, such as "Centering".
        described = json.loads(text) if text.startswith("{") else {"kind": text}
        return restore_preprocess(described, arrays)
    except ValueError as error:
        raise ValueError(f"{path} must be a file written by save_state: {error}") from error
