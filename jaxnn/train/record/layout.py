"""Shapes and dtypes of data as `config.json` holds them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["fingerprint", "from_layout", "layout"]


def fingerprint(part: Any) -> dict[str, Any]:
    """Layout and checksum of a part of the data, by which another is told apart."""
    checksum = 0
    for leaf in jax.tree.leaves(part):
        checksum = zlib.crc32(np.asarray(leaf).tobytes(), checksum)
    return {"layout": layout(part), "crc32": checksum}


def layout(tree: Any) -> Any:
    """Shapes and dtypes of a tree of dicts, lists and tuples, as `json` can write them."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: layout(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [layout(value) for value in tree]
    array = np.asarray(tree)
    return f"{array.dtype.name} {' '.join(map(str, array.shape))}"


def from_layout(described: Any) -> Any:
    """Arrays of one row, zeros, of the shapes and dtypes that `layout` wrote."""
    if described is None:
        return None
    if isinstance(described, dict):
        return {key: from_layout(value) for key, value in described.items()}
    if isinstance(described, list):
        return [from_layout(value) for value in described]
    dtype, _, *shape = described.split()
    return jnp.zeros((1, *map(int, shape)), dtype)
