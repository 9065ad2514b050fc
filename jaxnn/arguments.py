"""Checks of arguments at the boundary, whose errors all read the same.

An error names the argument, its value, and what is allowed. Only concrete values can be checked.
A traced knob passes here; `jaxnn.fit` checks the values behind it before anything is compiled, by
building the recipe once from plain numbers.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from jax.core import Tracer


def is_concrete(value: Any) -> bool:
    """Say whether `value` is concrete, that is, not a tracer."""
    return not isinstance(value, Tracer)


def check_knob(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Refuse a concrete knob outside its range; let a traced one pass.

    Args:
      name: the argument's name, as the user wrote it.
      value: a Python, NumPy or JAX number or array, or a tracer.
      low: the lower end of the range.
      high: the upper end of the range.
      low_open: whether `low` itself is refused.
      high_open: whether `high` itself is refused.

    Raises:
      TypeError: `value` is not a number.
      ValueError: `value` is NaN, infinite or outside the range.

    >>> check_knob("decay", 0.9, 0, 1)
    >>> check_knob("decay", 2, 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: decay must be in [0, 1], got 2
    """
    if not is_concrete(value):
        return
    try:
        values = np.asarray(value)
    except ValueError:  # a ragged list
        values = np.asarray(None)
    if values.dtype.kind not in "iufV":  # V: bfloat16 and others that NumPy does not know
        raise TypeError(f"{name} must be a number, got {value!r}")
    values = values.astype(np.float64)
    above = values > low if low_open else values >= low
    below = values < high if high_open else values <= high
    if not np.all(above & below & np.isfinite(values)):
        left = "(" if low_open or math.isinf(low) else "["
        right = ")" if high_open or math.isinf(high) else "]"
        raise ValueError(f"{name} must be in {left}{low:g}, {high:g}{right}, got {value}")


def check_positive_int(name: str, value: Any) -> int:
    """Return `value` as a Python int; refuse it unless it is an integer of at least 1.

    >>> check_positive_int("epochs", 0)
    Traceback (most recent call last):
    ...
    ValueError: epochs must be a positive integer, got 0
    """
    refusal = ValueError(f"{name} must be a positive integer, got {value!r}")
    if isinstance(value, (bool, np.bool_)):
        raise refusal
    try:
        number = operator.index(value)
    except TypeError:
        raise refusal from None
    if number < 1:
        raise refusal
    return number


def check_count(name: str, value: Any) -> int:
    """Return `value` as a Python int; refuse it unless it is an integer of at least 0.

    >>> check_count("patience", -1)
    Traceback (most recent call last):
    ...
    ValueError: patience must be an integer of at least 0, got -1
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    raise ValueError(f"{name} must be an integer of at least 0, got {value!r}")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuse a value that is not among `choices`.

    >>> check_choice("mode", "least", ("min", "max"))
    Traceback (most recent call last):
    ...
    ValueError: mode must be one of 'min', 'max', got 'least'
    """
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


def missing_extra(feature: str, extra: str) -> ImportError:
    """Build the error for a feature whose optional dependency is not installed.

    >>> print(missing_extra("the report page", "report"))
    the report page needs packages that are not installed: pip install "jaxnn[report]"
    """
    return ImportError(
        f'{feature} needs packages that are not installed: pip install "jaxnn[{extra}]"'
    )
