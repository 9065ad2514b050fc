"""One array of what a user hands over: lists, frames, tensors of other libraries."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.inputs.frames import frame_numbers, is_frame

__all__ = ["as_dense"]


def as_dense(name: str, values: Any) -> Any:
    """Return a JAX array as it is, anything else as a NumPy array.

    Raises:
      TypeError: a sparse matrix, random keys, or a frame with columns that are no numbers.
      ValueError: rows of different length, or values that are masked out or missing.

    >>> as_dense("x", [[1, 2], [3, 4]])
    array([[1, 2],
           [3, 4]])
    """
    if isinstance(values, jax.Array):
        if jnp.issubdtype(values.dtype, jax.dtypes.prng_key):
            raise TypeError(f"{name} must hold numbers, got random keys")
        return values
    if hasattr(values, "todense"):  # SciPy's sparse classes and JAX's, without importing either
        raise TypeError(
            f"{name} must be a dense array, got a {type(values).__name__}; convert it to a "
            "dense one first, as with toarray(), if that fits into memory"
        )
    if is_frame(values):
        return frame_numbers(name, values)
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(name, values)
    if hasattr(values, "detach") and hasattr(values, "cpu"):  # a tensor with a gradient
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of one length, got {error}") from error


def _unmasked(name: str, values: np.ma.MaskedArray) -> np.ndarray:
    masked = int(np.ma.count_masked(values))
    if masked:
        raise ValueError(
            f"{name} must hold no missing values, got {masked} that are masked out; fill them, or "
            "drop their rows"
        )
    return np.asarray(values.data)
