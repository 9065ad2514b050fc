"""What losses and metrics take: arrays of real numbers, labels of classes, and masks.

An array that JAX would narrow is checked on the host first, since a label of 2³² would become
class 0 and an int64 of 1.7 · 10¹² another number.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import is_concrete
from jaxnn.tree import host_array

__all__ = [
    "Classes",
    "as_classes",
    "as_real",
    "check_ignore_index",
    "check_same_shape",
    "check_weight",
    "class_axis",
    "classes_last",
    "hint_of",
    "kept",
    "mask_of",
    "real_array",
    "refuse_empty",
]

_INT32 = 2**31 - 1


def as_real(name: str, value: Any) -> jax.Array:
    """Return an array or a list as a JAX array of real numbers.

    Raises:
      TypeError: `value` does not hold real numbers.
      ValueError: a ragged list, or integers that JAX would narrow to others.

    >>> as_real("labels", [0, 2])
    Array([0, 2], dtype=int32)
    >>> as_real("labels", np.array([2**32]))
    Traceback (most recent call last):
    ...
    ValueError: labels must hold integers from -2147483648 to 2147483647, which are all that \
JAX keeps without 64 bits, got 4294967296
    """
    return jnp.asarray(real_array(name, value))


def real_array(name: str, value: Any) -> Any:
    """Return an array or a list as an array of real numbers, which stays on the host if it is."""
    array = value if isinstance(value, jax.Array) else host_array(name, value)
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    is_real = any(jnp.issubdtype(array.dtype, kind) for kind in kinds)
    if not is_real or array.dtype.kind == "m":  # times are integers to NumPy
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def as_classes(labels: jax.Array) -> jax.Array:
    """Cast integer labels of any width to int32; what it cannot hold is no class before or after.

    Comparing uint8 labels with 256 classes would wrap the 256 to 0.
    """
    kind = jnp.iinfo(labels.dtype)
    if kind.max > _INT32:
        low = max(int(kind.min), -_INT32 - 1)
        labels = jnp.clip(labels, jnp.asarray(low, kind.dtype), jnp.asarray(_INT32, kind.dtype))
    return labels.astype(jnp.int32)


class Classes(NamedTuple):
    """Outputs with their classes along the last axis, and labels that fit them."""

    outputs: jax.Array  # (…, classes)
    labels: jax.Array  # (…) int32, or (…, classes) where they are soft
    soft: bool  # whether the labels are probabilities


def classes_last(name: str, outputs: Any, labels: Any, axis: Any = -1) -> Classes:
    """Check outputs of classes and their labels, and move the classes to the last axis.

    Args:
      name: of the outputs, for the message.
      outputs: (…, classes), or with the classes along `axis`.
      labels: integers of the shape of the outputs without `axis`, or probabilities of the
        shape of the outputs.
      axis: of the classes.

    Raises:
      TypeError: what is no number, or labels of classes that are no integers.
      ValueError: labels of another shape, or an axis that the outputs lack.
    """
    outputs, labels = as_real(name, outputs), as_real("labels", labels)
    axis = class_axis(name, outputs.shape, axis)
    shape = outputs.shape[:axis] + outputs.shape[axis + 1 :]
    soft = labels.shape == outputs.shape
    if not soft and labels.shape != shape:
        raise ValueError(
            f"labels must have shape {shape} (integer classes) or {outputs.shape} "
            f"(probabilities) for {name} of shape {outputs.shape}, whose axis {axis} has one entry "
            f"per class, got labels of shape {labels.shape}{hint_of('labels', labels.shape, shape)}"
        )
    if soft:
        return Classes(_last(outputs, axis), _last(labels, axis), True)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels of shape {labels.shape} must be integer classes, got {labels.dtype}"
        )
    return Classes(_last(outputs, axis), as_classes(labels), False)


def class_axis(name: str, shape: tuple[int, ...], axis: Any = -1) -> int:
    """Return the number, from 0, of the axis of classes; refuse one that is missing or empty."""
    try:
        number = operator.index(axis)
    except TypeError:
        number = None
    if number is None or isinstance(axis, bool):
        raise TypeError(f"axis must be an integer, got {axis!r}")
    if not shape:
        raise ValueError(f"{name} must have an axis of classes, (…, classes), got a single number")
    if not -len(shape) <= number < len(shape):
        raise ValueError(f"axis must be one of the {len(shape)} axes of {name}, got {axis}")
    if shape[number] == 0:
        raise ValueError(f"{name} must have at least one class, got shape {shape}")
    return number % len(shape)


def _last(x: jax.Array, axis: int) -> jax.Array:
    return x if axis == x.ndim - 1 else jnp.moveaxis(x, axis, -1)


def refuse_empty(name: str, x: jax.Array) -> None:
    """Refuse outputs without an axis of examples, and those of no example."""
    if x.ndim == 0:
        raise ValueError(f"{name} must have an axis of examples, (n, …), got a single number")
    if x.size == 0:
        raise ValueError(f"{name} must hold at least one example, got shape {x.shape}")


def check_weight(weight: Any, what: str, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse weights that do not fit, and concrete ones that are no weights.

    Args:
      weight: an array of real numbers.
      what: it weighs, for the message.
      shape: of what it weighs, whose leading axes it must have.
      dtype: in which the weights are added.

    Raises:
      ValueError: another shape, or a concrete weight that is negative, NaN or infinite, or has
        an infinite sum.
    """
    if weight.shape != shape[: weight.ndim]:
        raise ValueError(
            f"weight must have the leading axes of the {what}, {shape}, got {weight.shape}"
        )
    if not is_concrete(weight) or not weight.size:
        return
    found = np.asarray(weight).astype(np.float64)
    bad = ~(np.isfinite(found) & (found >= 0))
    if bad.any():
        raise ValueError(f"weight must be finite and at least 0, got {found[bad][0]}")
    total = found.sum() * (math.prod(shape) // found.size)
    if total > float(jnp.finfo(dtype).max):
        raise ValueError(f"weight must have a sum that is finite in {dtype}, got {total}")


def check_same_shape(name: str, outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Refuse targets of another shape than the outputs: nothing is broadcast."""
    if outputs != targets:
        raise ValueError(
            f"targets must have the shape of the {name}, {outputs}, got {targets}"
            f"{hint_of('targets', targets, outputs)}"
        )


def hint_of(name: str, got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say how to mend a shape that differs only by a last axis of 1."""
    if got == (*wanted, 1):
        return f"; use {name}.ravel()" if len(got) == 2 else f"; use {name}[..., 0]"
    if wanted == (*got, 1):
        return f"; use {name}[:, None]" if len(got) == 1 else f"; use {name}[..., None]"
    return ""


def mask_of(where: Any, shape: tuple[int, ...]) -> jax.Array:
    """Return the mask `where` in `shape`.

    Raises:
      TypeError: it does not hold True and False.
      ValueError: its shape is not that of leading axes of `shape`.
    """
    mask = as_real("where", where)
    if mask.dtype != jnp.bool_:
        raise TypeError(f"where must hold True and False, got dtype {mask.dtype}")
    if mask.shape != shape[: mask.ndim]:
        raise ValueError(
            f"where must have the leading axes of the losses, {shape}, got {mask.shape}"
            + "; to mask a class, set its logit to -inf" * (mask.ndim > len(shape))
        )
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape)


def check_ignore_index(ignore_index: Any) -> None:
    """Refuse what is no integer label."""
    good = isinstance(ignore_index, (int, np.integer)) and not isinstance(ignore_index, bool)
    if not good or not -_INT32 <= ignore_index <= _INT32:
        raise TypeError(f"ignore_index must be an integer label, got {ignore_index!r}")


def kept(
    labels: jax.Array, shape: tuple[int, ...], where: Any, ignore_index: Any, *, soft: bool = False
) -> jax.Array | None:
    """Return which entries of losses of `shape` count; None if all do.

    Raises:
      ValueError: `ignore_index` with labels that are probabilities.
    """
    mask = None if where is None else mask_of(where, shape)
    if ignore_index is None:
        return mask
    check_ignore_index(ignore_index)
    if soft:
        raise ValueError("ignore_index is for integer labels; got probabilities, so use where=")
    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = as_classes(labels)  # a uint8 cannot be compared with -100
    counts = labels != int(ignore_index)
    return counts if mask is None else mask & counts
