"""From a model's outputs to probabilities and classes, as its loss reads the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["classes", "probabilities"]


def _softmax(z: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _sigmoid(z: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(-np.abs(z))  # never overflows
    return np.where(z >= 0, 1, e) / (1 + e)


def _exp(z: np.ndarray, axis: int) -> np.ndarray:
    return np.exp(z)


# By the name of the loss in jaxnn.losses: how its outputs become probabilities. Those of the
# first are of classes, which exclude each other, those of the second each of one yes or no.
_OF_CLASSES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "softmax_cross_entropy": _softmax,
    "negative_log_likelihood": _exp,
    "kl_divergence": _exp,
}
_OF_YES = {"sigmoid_cross_entropy": _sigmoid, "sigmoid_focal": _sigmoid}
_SIGNS = (*_OF_YES, "hinge")  # whose outputs above 0 mean yes


def probabilities(loss: Any, outputs: Any) -> np.ndarray:
    """The probabilities that outputs stand for.

    Args:
      loss: its description.
      outputs: (n, …) of the model.

    Returns:
      As the outputs: of each class along the axis of classes, or, for a sigmoid loss, of each
      output being 1.

    Raises:
      ValueError: the loss does not say which probabilities the outputs stand for.
    """
    readings = _OF_CLASSES | _OF_YES
    name, settings = _read(loss, outputs, readings, "probabilities")
    found = readings[name](np.asarray(outputs, np.float64), settings.get("axis", -1))
    dtype = outputs.dtype if outputs.dtype.kind == "f" else np.float32  # of bfloat16 too
    return found.astype(dtype)


def classes(loss: Any, outputs: Any, names: tuple[str, ...] | None) -> np.ndarray:
    """The most probable class of each example.

    Args:
      loss: its description.
      outputs: (n, …) of the model.
      names: of the classes, or None.

    Returns:
      Names, or numbers where there are none: of shape (n,) for outputs (n, classes), and for a
      loss of yes or no with outputs (n,) or (n, 1). For such a loss with several outputs,
      (n, outputs) booleans.

    Raises:
      ValueError: no classes by this loss, outputs that are NaN, or another number of names.
    """
    name, settings = _read(loss, outputs, (*_OF_CLASSES, *_SIGNS), "classes")
    wide = np.asarray(outputs, np.float64)
    if np.isnan(wide).any():
        row = int(np.argwhere(np.isnan(wide))[0][0])
        raise ValueError(f"the model's outputs are NaN at row {row}, which is of no class")
    if name in _OF_CLASSES:
        axis = settings.get("axis", -1)
        numbers, count = np.asarray(wide.argmax(axis)), wide.shape[axis]
    elif wide.ndim > 1 and wide.shape[1:] != (1,):
        return wide > 0
    else:
        numbers, count = (wide > 0).reshape(len(wide)).astype(np.int64), 2
    if names is None:
        return numbers
    if len(names) != count:
        raise ValueError(
            f"the model tells {count} classes apart, and the data named {len(names)}: "
            f"{', '.join(names[:5])}"
        )
    return np.asarray(np.asarray(names)[numbers])


def _read(loss: Any, outputs: Any, known: Iterable[str], wanted: str) -> tuple[str, dict[str, Any]]:
    """The name and the settings of a loss among those known; refuse others."""
    name, settings = _named(loss)
    if name not in known or not isinstance(outputs, np.ndarray):
        raise ValueError(
            f"loss must be one of {', '.join(known)} for {wanted} of one array of outputs, "
            f"got {name or 'an objective'}; predict gives the outputs"
        )
    return name, settings


def _named(loss: Any) -> tuple[str, dict[str, Any]]:
    """The name of a loss of this library, and its settings; ("", {}) of none."""
    settings: Any = {}
    while isinstance(loss, Mapping) and len(loss) == 1:
        ((name, settings),) = loss.items()
        loss = name if name.startswith("jaxnn.losses.") else settings  # within a jitted one
    if not isinstance(loss, str):
        return "", {}
    ours = loss.startswith("jaxnn.losses.")
    name = loss.rpartition(".")[2] if ours else loss
    return name, dict(settings) if ours and isinstance(settings, Mapping) else {}
