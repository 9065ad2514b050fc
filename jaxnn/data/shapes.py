"""Check what a part of the data is without its values, which may be traced or not there at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.inputs.frames import is_frame
from jaxnn.tree import path_name

__all__ = ["check_part", "check_shapes"]

_NUMBERS = (bool, int, float, complex)


def check_shapes(name: str, batch: Any) -> int:
    """Refuse a batch that has no arrays of numbers with a common leading axis.

    Args:
      name: what the error calls the batch.
      batch: pytree of NumPy or JAX arrays, traced or not, or of `jax.ShapeDtypeStruct`s.

    Returns:
      The number of examples.

    Raises:
      TypeError: a leaf that is no array of numbers.
      ValueError: no leaves, no or different leading axes, or no examples.

    >>> check_shapes("batch", {"x": jax.ShapeDtypeStruct((5, 2), jnp.float32), "y": jnp.ones(5)})
    5
    >>> check_shapes("batch", {"x": "no"})
    Traceback (most recent call last):
    ...
    TypeError: batch: x must be an array of numbers, got 'no'
    """
    leaves = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(batch)}
    if not leaves:
        raise ValueError(f"{name} must hold at least one array, got {batch!r}")
    for path, leaf in leaves.items():
        place = f"{name}: {path}" if path else name
        if not _is_numeric(leaf):
            raise TypeError(f"{place} must be an array of numbers, got {leaf!r}")
        if not leaf.shape:
            raise ValueError(
                f"{place} must be an array whose first axis counts the examples, got a scalar"
            )
    lengths = {path: leaf.shape[0] for path, leaf in leaves.items()}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{path} {length}" for path, length in lengths.items())
        raise ValueError(f"{name} must have arrays of one length, got {listing}")
    examples = next(iter(lengths.values()))
    if examples == 0:
        raise ValueError(f"{name} must hold at least one example, got 0")
    return examples


def check_part(name: str, part: Any) -> None:
    """Refuse what is neither a batch nor anything that batches can be read from.

    Lists of numbers, frames and tensors of other libraries pass: `jaxnn.fit` makes arrays of
    them, and checks those.

    >>> check_part("val", {"x": jnp.ones((5, 2)), "y": [0, 1, 1, 0, 1]})
    >>> check_part("val", 3)
    Traceback (most recent call last):
    ...
    TypeError: val must be a batch, or an iterable of batches, got 3
    """
    if isinstance(part, Iterator):  # which JAX will refuse as a leaf
        return
    leaves = jax.tree_util.tree_leaves_with_path(part, is_leaf=_is_written_out)
    is_leaf = bool(leaves) and leaves[0][1] is part
    is_opaque = is_leaf and not (_is_array(part) or isinstance(part, list))
    if not leaves or (is_opaque and not _is_source(part)):
        raise TypeError(f"{name} must be a batch, or an iterable of batches, got {part!r}")
    for path, leaf in () if is_opaque else leaves:
        if not _may_hold_numbers(leaf):
            place = f"{name}: {path_name(path)}" if path else name
            got = f"dtype {leaf.dtype}" if hasattr(leaf, "dtype") else repr(leaf)
            raise TypeError(f"{place} must hold numbers, got {got}")


def _is_source(part: Any) -> bool:
    """Say whether batches may be read from an object: it is a stream, an iterable or a function."""
    if isinstance(part, (str, bytes, set, frozenset)):
        return False
    return hasattr(part, "batches") or hasattr(part, "__iter__") or callable(part)


def _is_written_out(value: Any) -> bool:
    """Say whether a list is an array written out, whose entries may be millions."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], (list, str, *_NUMBERS))


def _may_hold_numbers(leaf: Any) -> bool:
    while isinstance(leaf, list) and leaf:
        leaf = leaf[0]
    if isinstance(leaf, (np.ndarray, np.generic, jax.Array, jax.ShapeDtypeStruct)):
        return _is_numeric(leaf)
    return _is_array(leaf) or isinstance(leaf, _NUMBERS)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") or hasattr(value, "__array__") or is_frame(value)


def _is_numeric(leaf: Any) -> bool:
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        return False
    # A duration counts as an integer to NumPy.
    is_time = getattr(leaf.dtype, "kind", "") in ("m", "M")
    is_number = jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool
    return is_number and not is_time
