"""What a data set holds, on one line of bounded length."""

from __future__ import annotations

from typing import Any

import jax

from jaxnn.tree import path_name

__all__ = ["summary"]

_MOST = 6  # arrays, names or parts of a state that are written out


def summary(data: Any) -> str:
    """Say what a `Data` holds: shapes, dtypes, classes, columns and preprocessing.

    >>> import numpy as np
    >>> from jaxnn.data import from_arrays
    >>> from_arrays(np.eye(10), np.arange(10), key=0, preprocess="standardize")
    Data(train: x float64 (6, 10), y int64 (6,); val: x float64 (2, 10), y int64 (2,); \
test: x float64 (2, 10), y int64 (2,); preprocess: Standardization)
    """
    said = [
        f"{name}: {_part(part)}"
        for name, part in (("train", data.train), ("val", data.val), ("test", data.test))
        if part is not None
    ]
    for name, values in (("classes", data.classes), ("columns", data.columns)):
        if values is not None:
            said.append(f"{len(values)} {name}: {_listed([str(value) for value in values])}")
    for name, state in (("preprocess", data.preprocess), ("preprocess_y", data.preprocess_y)):
        if state is not None:
            said.append(f"{name}: {_state(state)}")
    return f"Data({'; '.join(said)})"


def _part(part: Any) -> str:
    if hasattr(part, "batches"):  # a stream
        known = getattr(part, "examples", None)
        return f"{type(part).__name__} of {'unknown length' if known is None else known}"
    if hasattr(part, "__next__") or callable(part):
        return type(part).__name__
    leaves = jax.tree_util.tree_leaves_with_path(part, is_leaf=lambda value: type(value) is list)
    return _listed([_leaf(path_name(path), leaf) for path, leaf in leaves])


def _leaf(name: str, leaf: Any) -> str:
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    kind = type(leaf).__name__ if dtype is None else str(dtype)
    size = f" of {len(leaf):,}" if shape is None and hasattr(leaf, "__len__") else ""
    shown = size if shape is None else f" {tuple(shape)}"
    return f"{name} {kind}{shown}".strip()


def _state(state: Any) -> str:
    inner = getattr(state, "states", None)
    if inner is None:
        return type(state).__name__
    return _listed([type(part).__name__ for part in inner], " then ")


def _listed(names: list[str], between: str = ", ", most: int = _MOST) -> str:
    shown = [name if len(name) <= 40 else f"{name[:39]}…" for name in names[:most]]
    more = len(names) - most
    return between.join(shown) + (f" and {more:,} more" if more > 0 else "")
