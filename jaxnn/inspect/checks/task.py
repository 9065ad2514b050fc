"""What kind of task a loss is for."""

from __future__ import annotations

from enum import Enum
from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks.subject import Subject
from jaxnn.losses.binary import hinge, sigmoid_cross_entropy, sigmoid_focal
from jaxnn.losses.checks import unwrap
from jaxnn.losses.classification import (
    negative_log_likelihood,
    softmax_cross_entropy,
)
from jaxnn.losses.regression import absolute_error, huber, squared_error

__all__ = ["Task", "class_labels", "setting", "task_of"]


class Task(Enum):
    """What a network is asked for."""

    CLASSES = "one of several classes, from logits"
    LOG_CLASSES = "one of several classes, from log-probabilities"
    YES_NO = "yes or no, from logits"
    SIGNS = "yes or no, by sign"
    NUMBERS = "numbers"
    UNKNOWN = "what only the loss knows"


_KNOWN = (
    (softmax_cross_entropy, Task.CLASSES),
    (negative_log_likelihood, Task.LOG_CLASSES),
    (sigmoid_cross_entropy, Task.YES_NO),
    (sigmoid_focal, Task.YES_NO),
    (hinge, Task.SIGNS),
    (squared_error, Task.NUMBERS),
    (absolute_error, Task.NUMBERS),
    (huber, Task.NUMBERS),
)


def task_of(subject: Subject) -> Task:
    """Say what the recipe's loss asks for."""
    loss = subject.recipe.loss
    base = None if loss is None else unwrap(loss)
    return next((task for known, task in _KNOWN if known is base), Task.UNKNOWN)


def setting(subject: Subject, name: str, otherwise: object = None) -> object:
    """Return a setting of a loss that is a `functools.partial`."""
    loss = subject.recipe.loss
    return loss.keywords.get(name, otherwise) if isinstance(loss, partial) else otherwise


def class_labels(subject: Subject, part: str) -> tuple[int, np.ndarray] | None:
    """Count the examples of each class in a part.

    Returns:
      The number of classes, and the count of each; None where the targets are no classes.
    """
    y = np.asarray(subject.parts[part]["y"])
    task, axis = task_of(subject), int(setting(subject, "axis", -1))  # type: ignore[arg-type]
    if task in (Task.YES_NO, Task.SIGNS):
        # Several outputs are questions of their own, each with its own share.
        if y.reshape(len(y), -1).shape[1] != 1 or not np.isin(y, (-1, 0, 1)).all():
            return None
        return 2, np.bincount((y.ravel() > 0).astype(int), minlength=2)
    if task not in (Task.CLASSES, Task.LOG_CLASSES):
        return None
    classes = subject.outputs.shape[axis]
    if not jnp.issubdtype(y.dtype, jnp.integer) or y.shape[1:] == subject.outputs.shape[1:]:
        y = y.argmax(axis)
    ignored = setting(subject, "ignore_index")
    y = y.ravel() if ignored is None else y[y != ignored]
    # Padded tokens may hold anything.
    return classes, np.bincount(y[(y >= 0) & (y < classes)], minlength=classes)
