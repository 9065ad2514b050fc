"""Check the data on the host, before anything is compiled.

A NaN in the data would show as a NaN in the loss, many minutes later and far from its cause. The
error here names its part, leaf, row and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.inputs.dense import as_dense
from jaxnn.data.inputs.narrowing import position
from jaxnn.tree import path_name

__all__ = ["as_dense", "check_batch", "check_batch_size", "check_layout", "check_same_layout"]

_KINDS = {
    "boolean": jnp.bool_,
    "integer": jnp.integer,
    "floating": jnp.floating,
    "complex": jnp.complexfloating,
}


def check_batch(name: str, batch: Any) -> int:
    """Refuse a part of the data that cannot be trained on.

    Args:
      name: of the part, such as "train", for the message.
      batch: pytree of NumPy or JAX arrays with a common leading axis. In a mapping the
        entry "weight" is at least 0 and per example, (n,), or per token, (n, tokens).

    Returns:
      The number of examples.

    Raises:
      TypeError: a leaf that is sparse or holds objects, text or dates.
      ValueError: no leaves, no or different leading axes, no examples, NaN or Inf, or
        weights that are negative or of a shape that fits no target.

    >>> check_batch("train", {"x": np.zeros((5, 2)), "y": np.zeros(5, int)})
    5
    >>> check_batch("train", {"x": np.array([[0.0, 1.0], [2.0, np.nan]])})
    Traceback (most recent call last):
    ...
    ValueError: train: x holds NaN at row 1, column 1 (1 value is not finite); clean or \
drop these rows before training
    """
    n = check_layout(name, batch)
    leaves = _arrays(name, batch)
    for path, leaf in leaves.items():
        _check_finite(_place(name, path), leaf)
    if isinstance(batch, Mapping) and "weight" in leaves:
        _check_weight(name, leaves)
    return n


def check_layout(name: str, batch: Any) -> int:
    """Check all that `check_batch` checks without looking at values.

    Returns:
      The number of examples.

    >>> check_layout("train", {"x": np.array([[np.nan]])})
    1
    """
    leaves = _arrays(name, batch)
    if not leaves:
        raise ValueError(f"{name} must hold at least one array, got {batch!r}")
    for path, leaf in leaves.items():
        _check_numeric(_place(name, path), leaf)
    return _common_length(name, leaves)


def check_same_layout(train: Any, other: Any, name: str) -> None:
    """Refuse a part of the data whose structure differs from the training part's.

    The number of examples may differ, and "weight" may be missing from either.

    Args:
      train: batch.
      other: batch, such as the validation part.
      name: of `other`, such as "val", for the message.

    Raises:
      ValueError: another tree, shape of one example, or kind of number.

    >>> check_same_layout({"x": np.zeros((5, 2))}, {"x": np.zeros((4, 3))}, "val")
    Traceback (most recent call last):
    ...
    ValueError: val: x must be like train, (2,) floating for one example, got (3,) floating
    """
    batches = (train, other)
    mappings = all(isinstance(batch, Mapping) for batch in batches)
    if mappings and any(batch.get("weight") is None for batch in batches):
        train, other = (
            {key: value for key, value in batch.items() if key != "weight"} for batch in batches
        )
    ours, theirs = _arrays("train", train), _arrays(name, other)
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"{name} must hold the arrays that train holds, {', '.join(ours)}, "
            f"got {', '.join(theirs)}"
        )
    want, got = jax.tree.structure(train), jax.tree.structure(other)
    if want != got:
        raise ValueError(f"{name} must have the tree structure of train, {want}, got {got}")
    for path, leaf in theirs.items():
        want, got = (f"{array.shape[1:]} {_kind(array)}" for array in (ours[path], leaf))
        if want != got:
            raise ValueError(
                f"{_place(name, path)} must be like train, {want} for one example, got {got}"
            )


def check_batch_size(batch_size: Any, n: int) -> int:
    """Return `batch_size` as a Python int, or refuse one that exceeds the `n` examples.

    >>> check_batch_size(200, 100)
    Traceback (most recent call last):
    ...
    ValueError: batch_size must be at most the number of training examples, 100, got 200
    """
    batch_size = check_positive_int("batch_size", batch_size)
    if batch_size > n:
        raise ValueError(
            f"batch_size must be at most the number of training examples, {n}, got {batch_size}"
        )
    return batch_size


def _arrays(name: str, batch: Any) -> dict[str, np.ndarray]:
    leaves = [(path_name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(batch)]
    return {path: np.asarray(as_dense(_place(name, path), leaf)) for path, leaf in leaves}


def _place(name: str, path: str) -> str:
    return f"{name}: {path}" if path else name  # a bare array has no path


def _kind(leaf: np.ndarray) -> str | None:
    if leaf.dtype.kind in "mM":  # a duration is an integer to NumPy
        return None
    # NumPy's own kinds do not know bfloat16.
    return next((kind for kind, dtype in _KINDS.items() if jnp.issubdtype(leaf.dtype, dtype)), None)


def _check_numeric(place: str, leaf: np.ndarray) -> None:
    if _kind(leaf) is None:
        raise TypeError(f"{place} must hold numbers, got dtype {leaf.dtype}")


def _common_length(name: str, leaves: dict[str, np.ndarray]) -> int:
    for path, leaf in leaves.items():
        if leaf.ndim == 0:
            raise ValueError(
                f"{_place(name, path)} must be an array whose first axis counts the examples, "
                f"got the single value {leaf}"
            )
    lengths = {path: len(leaf) for path, leaf in leaves.items()}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{path} {length}" for path, length in lengths.items())
        raise ValueError(f"{name} must have arrays of one length, got {listing}")
    n = next(iter(lengths.values()))
    if n == 0:
        raise ValueError(f"{name} must hold at least one example, got 0")
    return n


def _check_finite(place: str, leaf: np.ndarray) -> None:
    if not jnp.issubdtype(leaf.dtype, jnp.inexact):
        return
    finite = np.isfinite(leaf)
    if finite.all():
        return
    index, count = _first(~finite)
    what = "NaN" if np.isnan(leaf[index]) else "Inf"
    raise ValueError(
        f"{place} holds {what} at {position(index)} ({count} "
        f"{'value is' if count == 1 else 'values are'} not finite); "
        "clean or drop these rows before training"
    )


def _check_weight(name: str, leaves: dict[str, np.ndarray]) -> None:
    weight = leaves["weight"]
    negative = weight < 0
    if negative.any():
        index, _ = _first(negative)
        raise ValueError(
            f"{name}: weight must be at least 0, got {weight[index]} at {position(index)}"
        )
    others = {path: leaf.shape for path, leaf in leaves.items() if path != "weight"}
    # A weight multiplies a loss, which has an entry for each target where there are targets.
    targets = {path: shape for path, shape in others.items() if path.split("/")[0] == "y"}
    shapes = targets or others
    per_token = any(shape[:2] == weight.shape for shape in shapes.values())
    if weight.ndim != 1 and not per_token:
        listing = ", ".join(f"{path} {shape}" for path, shape in shapes.items())
        raise ValueError(
            f"{name}: weight must be per example, ({len(weight)},), or per token, the first "
            f"two axes of {listing}, got shape {weight.shape}"
        )


def _first(bad: np.ndarray) -> tuple[tuple[int, ...], int]:
    index = np.unravel_index(np.argmax(bad), bad.shape)
    return tuple(int(i) for i in index), int(np.count_nonzero(bad))
