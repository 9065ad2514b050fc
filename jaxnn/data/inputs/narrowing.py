"""Check that numbers survive the cast to the dtype that JAX will give them.

Without `jax_enable_x64` JAX holds integers and floats in 32 bits, and its cast says nothing: the
integer 1,700,000,000,000 becomes -825,593,856. So the host looks before anything is cast.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.tree import path_name

__all__ = ["narrow", "narrowed"]


def narrowed(name: str, batch: Any) -> Any:
    """Cast the arrays of a batch as `narrow` does, each named by its path.

    >>> narrowed("train", {"x": np.arange(3.0)})
    {'x': array([0., 1., 2.], dtype=float32)}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: narrow(f"{name}: {path_name(path)}" if path else name, leaf), batch
    )


def narrow(name: str, values: Any) -> Any:
    """Cast a host array to the dtype that JAX will give it; refuse numbers that do not fit.

    Dtypes of 32 bits and fewer stay as they are, so that uint8 images stay uint8. Rounding of
    floats is no error; a finite number that would become infinite is one.

    Args:
      name: of the array, for the message.
      values: NumPy array, or anything that NumPy makes one of; a JAX array is returned as it is.

    Returns:
      The array, its dtype one that JAX keeps.

    Raises:
      TypeError: dates, durations, text and other things that are no numbers.
      ValueError: a number outside of the range of the dtype.

    >>> narrow("y", np.array([3, 4])).dtype
    dtype('int32')
    >>> narrow("x", np.array([[0], [1_700_000_000_000]]))
    Traceback (most recent call last):
    ...
    ValueError: x holds 1700000000000 at row 1, column 0, beyond int32, in which JAX holds \
integers of 64 bits (unless jax_enable_x64 is set); subtract an offset, or give floats
    """
    if isinstance(values, jax.Array):
        return values
    values = np.asarray(values)
    dtype = values.dtype
    if dtype.kind in "mMOSUT":
        raise TypeError(f"{name} must hold numbers, got dtype {dtype}")
    if dtype.kind in "iu":
        return _narrow_integers(name, values)
    if dtype.kind in "fc":
        return _narrow_floats(name, values)
    return values  # booleans, and dtypes such as bfloat16, which NumPy counts as void


def _narrow_integers(name: str, values: np.ndarray) -> np.ndarray:
    target = jax.dtypes.canonicalize_dtype(values.dtype)
    if target == values.dtype or not values.size:
        return values.astype(target, copy=False)
    bounds = np.iinfo(target)
    if int(values.min()) < bounds.min or int(values.max()) > bounds.max:
        outside = (values < bounds.min) | (values > bounds.max)
        advice = "subtract an offset, or give floats"
        raise ValueError(_beyond(name, values, outside, target, "integers", advice))
    return values.astype(target, copy=False)


def _narrow_floats(name: str, values: np.ndarray) -> np.ndarray:
    known = np.complex128 if values.dtype.kind == "c" else np.float64
    wide = min((values.dtype, np.dtype(known)), key=lambda dtype: dtype.itemsize)  # longdouble
    target = jax.dtypes.canonicalize_dtype(wide)
    if target == values.dtype:
        return values
    with np.errstate(over="ignore", under="ignore"):
        cast = values.astype(target)
    infinite = np.isinf(cast)
    if infinite.any():
        lost = infinite & np.isfinite(values)
        if lost.any():
            raise ValueError(_beyond(name, values, lost, target, "floats", "rescale the data"))
    return cast


def _beyond(
    name: str, values: np.ndarray, outside: np.ndarray, target: np.dtype, kind: str, advice: str
) -> str:
    index = np.unravel_index(int(np.argmax(outside)), values.shape)
    place = position(tuple(int(i) for i in index))
    return (
        f"{name} holds {values[index]} at {place}, beyond {jnp.dtype(target).name}, in which JAX "
        f"holds {kind} of 64 bits (unless jax_enable_x64 is set); {advice}"
    )


def position(index: tuple[int, ...]) -> str:
    """Say where in an array an index points.

    >>> position((17, 3)), position((1, 2, 3))
    ('row 17, column 3', 'index (1, 2, 3)')
    """
    if not index:
        return "its only place"
    if len(index) > 2:
        return f"index {index}"
    return ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), index, strict=False))
