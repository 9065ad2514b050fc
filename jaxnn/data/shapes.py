"""Check the shapes and dtypes of a batch, where its values may be traced or not there at all."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.tree import path_name

__all__ = ["check_shapes"]


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


def _is_numeric(leaf: Any) -> bool:
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        return False
    # A duration counts as an integer to NumPy.
    is_time = getattr(leaf.dtype, "kind", "") in ("m", "M")
    is_number = jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool
    return is_number and not is_time
