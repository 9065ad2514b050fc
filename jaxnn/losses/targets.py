"""Checks of targets and settings, which run on concrete values before anything is compiled."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob
from jaxnn.losses.inputs import check_ignore_index, class_axis, hint_of
from jaxnn.tree import check_held

__all__ = [
    "check_class_weights",
    "check_distribution",
    "check_labels",
    "check_numbers",
    "check_pos_weight",
    "check_probabilities",
    "check_setting",
    "check_shapes",
    "check_smoothing",
]


def check_labels(
    name: str,
    outputs: jax.ShapeDtypeStruct,
    labels: np.ndarray,
    counts: np.ndarray,
    *,
    label_smoothing: Any = None,
    class_weights: Any = None,
    axis: Any = -1,
    where: Any = None,
    ignore_index: Any = None,
) -> None:
    """Refuse integer labels outside the classes, and rows that are not distributions."""
    del where  # belongs to one batch, so the losses themselves check it
    shape = outputs.shape
    number = class_axis("outputs", shape, axis)
    if number == 0:
        raise ValueError(
            f"axis must be an axis of classes, behind that of examples, got {axis} for outputs of "
            f"shape {_rows('n', shape)}"
        )
    classes = shape[number]
    check_smoothing(label_smoothing)
    check_class_weights(class_weights, classes, outputs)
    if ignore_index is not None:
        check_ignore_index(ignore_index)
    of_one = (*shape[:number], *shape[number + 1 :])
    soft = labels.shape[1:] == shape[1:]
    if not soft and (labels.ndim == 0 or labels.shape[1:] != of_one[1:]):
        n = len(labels) if labels.ndim else "n"
        raise ValueError(
            f"{name} must have shape {_rows(n, of_one)} (integer classes) or {_rows(n, shape)} "
            f"(probabilities), since the model's outputs have shape {_rows(n, shape)}, "
            f"got {labels.shape}{hint_of('y', labels.shape, (*labels.shape[:1], *of_one[1:]))}"
        )
    if not soft and not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"{name} of shape {labels.shape} must be integer classes, got {labels.dtype}"
        )
    if not counts.any():
        return
    if soft:
        check_distribution(name, np.moveaxis(labels, number, -1), counts)
        return
    labels = labels[counts]  # a padded token may hold anything, often -1
    if ignore_index is not None:
        labels = labels[labels != ignore_index]
    if not labels.size:
        return
    lowest, highest = labels.min(), labels.max()
    if lowest < 0:
        raise ValueError(f"{name} must hold classes from 0 to {classes - 1}, got {lowest}")
    if highest >= classes:
        raise ValueError(
            f"{name} must hold classes from 0 to {classes - 1}, since the model has "
            f"{classes} outputs, got {highest}"
        )


def check_numbers(
    name: str, outputs: jax.ShapeDtypeStruct, targets: np.ndarray, counts: np.ndarray
) -> None:
    """Refuse targets that are not of the outputs' shape."""
    del counts  # any number is fine
    check_shapes(name, outputs, targets)


def check_shapes(name: str, outputs: jax.ShapeDtypeStruct, targets: np.ndarray) -> None:
    """Refuse targets that are not of the outputs' shape."""
    wanted = (*targets.shape[:1], *outputs.shape[1:])
    if targets.shape != wanted:
        raise ValueError(
            f"{name} must have the shape of the model's outputs, {_rows('n', outputs.shape)}, "
            f"got {targets.shape}{hint_of('y', targets.shape, wanted)}"
        )


def _rows(n: Any, shape: tuple[int, ...]) -> str:
    """Write a shape with another number of examples."""
    return f"({', '.join(map(str, (n, *shape[1:])))}{',' * (len(shape) == 1)})"


def check_smoothing(label_smoothing: Any) -> None:
    """Refuse a concrete label smoothing outside [0, 1]."""
    if label_smoothing is not None:
        check_knob("label_smoothing", label_smoothing, 0, 1)


def check_setting(name: str, value: Any, outputs: Any, **allowed: bool) -> None:
    """Refuse a concrete setting below 0, or one that vanishes or overflows in the loss's dtype.

    Args:
      name: of the argument.
      value: of the argument.
      outputs: an array or its shape and dtype, of which the loss is.
      **allowed: `low_open` or `array`, as in `check_knob`.
    """
    check_knob(name, value, 0, **allowed)
    dtype = jnp.promote_types(outputs.dtype, jnp.float32)
    check_held(name, value, {"the loss": jax.ShapeDtypeStruct((), dtype)})


def check_class_weights(class_weights: Any, classes: int, outputs: Any) -> None:
    """Refuse class weights of another shape than (classes,), and concrete ones that are none."""
    if class_weights is None:
        return
    check_setting("class_weights", class_weights, outputs, array=True)
    if np.shape(class_weights) != (classes,):
        raise ValueError(
            f"class_weights must have one weight for each class, shape ({classes},), got shape "
            f"{np.shape(class_weights)}"
        )


def check_probabilities(
    name: str,
    outputs: jax.ShapeDtypeStruct,
    targets: np.ndarray,
    counts: np.ndarray,
    *,
    label_smoothing: Any = None,
    pos_weight: Any = None,
    where: Any = None,
    ignore_index: Any = None,
) -> None:
    """Refuse targets outside [0, 1], such as labels −1 and 1."""
    del where  # belongs to one batch, so the losses themselves check it
    check_smoothing(label_smoothing)
    check_pos_weight(pos_weight, outputs)
    if ignore_index is not None:
        check_ignore_index(ignore_index)
    check_shapes(name, outputs, targets)
    targets = targets[counts]
    # NaN compares false, so this form refuses it too.
    bad = ~((targets >= 0) & (targets <= 1))
    if ignore_index is not None:
        bad &= targets != ignore_index
    if bad.any():
        raise ValueError(f"{name} must be between 0 (no) and 1 (yes), got {targets[bad][0]}")


def check_pos_weight(pos_weight: Any, outputs: Any) -> None:
    """Refuse what is neither a scalar nor a weight for each output, and no weight."""
    if pos_weight is None:
        return
    check_setting("pos_weight", pos_weight, outputs, array=True)
    if np.shape(pos_weight) not in ((), outputs.shape[1:][-1:]):
        raise ValueError(
            f"pos_weight must be a scalar or have one weight for each output, for logits of "
            f"shape {outputs.shape}, got shape {np.shape(pos_weight)}"
        )


def check_distribution(name: str, labels: np.ndarray, counts: np.ndarray) -> None:
    sums = labels.sum(-1, dtype=np.float64)
    # NaN compares false, so this form refuses it too.
    good = (labels >= 0).all(-1) & (np.abs(sums - 1) <= 1e-3)
    bad = ~good & counts.reshape(counts.shape + (1,) * (good.ndim - counts.ndim))
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
        raise ValueError(
            f"{name} must hold a probability for each class, at least 0 and with sum 1, "
            f"got {labels[index]} (row {', '.join(map(str, index))})"
        )
