"""Checks of targets and settings, which run on concrete values before anything is compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np

from jaxnn.arguments import check_knob

__all__ = [
    "Check",
    "Loss",
    "check_class_weights",
    "check_labels",
    "check_pos_weight",
    "check_probabilities",
    "check_smoothing",
    "check_targets",
    "checked_by",
    "unwrap",
]

Loss = Callable[[Any, Any], jax.Array]
"""The type of a loss: `(outputs, targets) -> losses`, one for each example."""

Check = Callable[..., None]
"""`(name, outputs, targets, counts, **settings)`, where the settings are those of the loss."""

_F = TypeVar("_F", bound=Callable[..., Any])


def checked_by(check: Check) -> Callable[[_F], _F]:
    """Decorate a loss with the check of its targets and settings."""

    def attach(loss: _F) -> _F:
        loss.check = check  # type: ignore[attr-defined]
        return loss

    return attach


def check_targets(
    loss: Loss, name: str, outputs: jax.ShapeDtypeStruct, targets: Any, weight: Any = None
) -> None:
    """Run the loss's own check of its targets, if it declares one.

    Args:
      loss: one of this package, any function, or a `functools.partial` of one, whose settings
        are checked too.
      name: what the error calls the data, such as "train: y".
      outputs: shape and dtype of the model's outputs for these targets.
      targets: the concrete targets.
      weight: (n,) or (n, tokens); targets of weight 0 are not checked. None: all are.

    Raises:
      ValueError, TypeError: the loss cannot take these targets.
    """
    check: Check | None = getattr(unwrap(loss), "check", None)
    if check is None:
        return
    targets = np.asarray(targets)
    counts = np.ones(targets.shape[:1], bool) if weight is None else np.asarray(weight) > 0
    # A partial of a partial is one partial, with the settings of both.
    settings = loss.keywords if isinstance(loss, partial) else {}
    check(name, outputs, targets, counts, **settings)


def unwrap(loss: Loss) -> Loss:
    """Return the function behind any number of `functools.partial`."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss


def check_labels(
    name: str,
    outputs: jax.ShapeDtypeStruct,
    labels: np.ndarray,
    counts: np.ndarray,
    *,
    label_smoothing: Any = None,
    class_weights: Any = None,
) -> None:
    """Refuse integer labels outside the classes, and rows that are not distributions."""
    classes = outputs.shape[-1]
    check_smoothing(label_smoothing)
    check_class_weights(class_weights, classes)
    if not counts.any():
        return
    if labels.ndim == len(outputs.shape):
        _check_distribution(name, labels, counts)
        return
    labels = labels[counts]  # a padded token may hold anything, often -1
    lowest, highest = labels.min(), labels.max()
    if lowest < 0:
        raise ValueError(f"{name} must hold classes from 0 to {classes - 1}, got {lowest}")
    if highest >= classes:
        raise ValueError(
            f"{name} must hold classes from 0 to {classes - 1}, since the model has "
            f"{classes} outputs, got {highest}"
        )


def check_smoothing(label_smoothing: Any) -> None:
    """Refuse a concrete label smoothing outside [0, 1]."""
    if label_smoothing is not None:
        check_knob("label_smoothing", label_smoothing, 0, 1)


def check_class_weights(class_weights: Any, classes: int) -> None:
    """Refuse class weights of another shape than (classes,), or concrete ones below 0."""
    if class_weights is None:
        return
    check_knob("class_weights", class_weights, 0)
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
) -> None:
    """Refuse targets outside [0, 1], such as labels −1 and 1."""
    check_smoothing(label_smoothing)
    check_pos_weight(pos_weight, outputs.shape)
    targets = targets[counts]
    # NaN compares false, so this form refuses it too.
    bad = ~((targets >= 0) & (targets <= 1))
    if bad.any():
        raise ValueError(f"{name} must be between 0 (no) and 1 (yes), got {targets[bad][0]}")


def check_pos_weight(pos_weight: Any, shape: tuple[int, ...]) -> None:
    """Refuse a weight that is neither a scalar nor one for each output, or is below 0."""
    if pos_weight is None:
        return
    check_knob("pos_weight", pos_weight, 0)
    if np.shape(pos_weight) not in ((), shape[1:][-1:]):
        raise ValueError(
            f"pos_weight must be a scalar or have one weight for each output, for logits of "
            f"shape {shape}, got shape {np.shape(pos_weight)}"
        )


def _check_distribution(name: str, labels: np.ndarray, counts: np.ndarray) -> None:
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
