"""Names of classes beside the values that a metric has for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnn.losses.inputs import real_array

__all__ = ["by_class"]


def by_class(values: Any, classes: Sequence[str]) -> dict[str, Any]:
    """Put the names of the classes to values that a metric has for each of them.

    Args:
      values: (classes,), such as the result of `partial(recall, average=None)`; or (classes,
        classes), a confusion matrix, whose rows become dicts.
      classes: the names, in the order of the classes, such as `data.classes`.

    Returns:
      Name to value, a Python float; of a matrix, name of the true class to name of the
      predicted class to value.

    Raises:
      TypeError: values that are no real numbers, or names that are no texts.
      ValueError: there are more or fewer names than classes, or two of one name.

    >>> by_class(np.array([0.5, 1.0]), ("cat", "dog"))
    {'cat': 0.5, 'dog': 1.0}
    """
    array = np.asarray(real_array("values", values), np.float64)
    names = [classes] if isinstance(classes, str) else classes
    if not isinstance(names, (Sequence, np.ndarray)) or not all(
        isinstance(name, str) for name in names
    ):
        raise TypeError(f"classes must be a sequence of names, got {classes!r}")
    names = list(names)
    if array.ndim not in (1, 2) or set(array.shape) != {len(names)}:
        raise ValueError(
            f"classes must name each class of values of shape {array.shape}, got {len(names)} "
            f"names: {names}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"classes must have different names, got {names}")
    if array.ndim == 2:
        return {name: by_class(row, names) for name, row in zip(names, array, strict=True)}
    return dict(zip(names, array.tolist(), strict=True))
