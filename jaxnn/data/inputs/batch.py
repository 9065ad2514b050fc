"""What is taken for a batch: dicts, pairs and triples of arrays, lists or frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.data.inputs.dense import as_dense
from jaxnn.data.inputs.frames import is_frame
from jaxnn.tree import path_name

__all__ = ["as_batch"]

_NAMES = ("x", "y", "weight")


def as_batch(name: str, data: Any, *, pairs: bool = True) -> Any:
    """Bring data to the form of a batch: a pytree of arrays, by default a dict of x and y.

    Lists of numbers, frames and tensors of other libraries become NumPy arrays; JAX arrays and
    NumPy arrays stay as they are, in their dtypes.

    Args:
      name: of the data, such as "train", for the message.
      data: dict of `x`, `y` and optionally `weight`, or a pair (x, y), or a triple (x, y,
        weight), of which None is left out.
      pairs: whether a pair is taken for a dict, and anything but a dict refused. False for a
        step or objective of the user's own, whose batches may be any pytree.

    Returns:
      The batch.

    Raises:
      TypeError: data that is no batch, a sparse matrix, or a frame of text.
      ValueError: rows of different length, or missing values.

    >>> as_batch("train", ([[0.5], [1.5]], [0, 1]))["y"]
    array([0, 1])
    >>> as_batch("train", np.zeros((5, 2)))
    Traceback (most recent call last):
    ...
    TypeError: train must be a batch, which is a dict of x and y (and weight, where examples are \
weighted), or a pair (x, y), or a triple (x, y, weight); got an array of shape (5, 2)
    """
    if pairs and not isinstance(data, Mapping):
        data = _from_pair(name, data)

    def dense(path: Any, leaf: Any) -> Any:
        return as_dense(f"{name}: {path_name(path)}" if path else name, leaf)

    return jax.tree_util.tree_map_with_path(dense, data, is_leaf=_is_array)


def _from_pair(name: str, data: Any) -> dict[str, Any]:
    is_pair = isinstance(data, (tuple, list)) and not hasattr(data, "_fields")
    if is_pair and len(data) in (2, 3) and not _is_list_of_batches(data):
        entries = dict(zip(_NAMES, data, strict=False))
        return {key: value for key, value in entries.items() if value is not None}
    raise TypeError(
        f"{name} must be a batch, which is a dict of x and y (and weight, where examples are "
        f"weighted), or a pair (x, y), or a triple (x, y, weight); got {_shown(data)}"
    )


def _is_list_of_batches(data: Any) -> bool:
    if all(isinstance(entry, Mapping) and "x" in entry for entry in data):
        return True
    return isinstance(data, list) and all(
        isinstance(entry, (tuple, Mapping)) and not _is_array(entry) for entry in data
    )


def _is_array(value: Any) -> bool:
    """Say whether a list or tuple is an array written out, and no pytree of arrays."""
    if is_frame(value):
        return True
    if not isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        return False
    return all(
        isinstance(entry, (bool, int, float, complex, str, np.generic)) or _is_array(entry)
        for entry in value
    )


def _shown(data: Any) -> str:
    kind = type(data).__name__
    if is_frame(data):
        return f"a {kind}, whose columns may stand for x; jaxnn.data.from_frame takes its target"
    if hasattr(data, "shape"):
        return f"an array of shape {tuple(data.shape)}"
    if hasattr(data, "train") and hasattr(data, "test"):
        return f"a {kind}; give one of its parts, such as data.test"
    if isinstance(data, (list, tuple)) and not hasattr(data, "_fields"):
        what = f"a {kind} of {len(data)}"
        if data and _is_list_of_batches(data):
            return f"{what} batches, which jaxnn.data.iterate reads one after the other"
        return what
    return f"a {kind}"
