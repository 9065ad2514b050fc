"""Checks of arguments at the boundary, whose errors all read the same.

An error names the argument, its value, and what is allowed. Only concrete values can be checked.
A traced knob passes here; `jaxnn.fit` checks the values behind it before anything is compiled, by
building the recipe once from plain numbers.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
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
    array: bool = False,
) -> None:
    """Refuse a knob that is not one number, and a concrete one outside its range.

    Args:
      name: the argument's name, as the user wrote it.
      value: a Python, NumPy or JAX number, or a traced scalar.
      low: the lower end of the range.
      high: the upper end of the range.
      low_open: whether `low` itself is refused.
      high_open: whether `high` itself is refused.
      array: whether an array of numbers is allowed too, each of them in the range.

    Raises:
      TypeError: `value` is not a number.
      ValueError: `value` is an array, NaN, infinite or outside the range.

    >>> check_knob("decay", 0.9, 0, 1)
    >>> check_knob("decay", 2, 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: decay must be in [0, 1], got 2
    """
    if not is_concrete(value):
        if value.ndim and not array:
            raise ValueError(f"{name} must be one number, got an array of shape {value.shape}")
        return
    try:
        values = np.asarray(value)
    except (TypeError, ValueError):  # random keys, a ragged list
        values = np.asarray(None)
    if not _is_real(values.dtype):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if values.ndim and not array:
        raise ValueError(f"{name} must be one number, got an array of shape {values.shape}")
    values = values.astype(np.float64)
    above = values > low if low_open else values >= low
    below = values < high if high_open else values <= high
    if not np.all(above & below & np.isfinite(values)):
        left = "(" if low_open or math.isinf(low) else "["
        right = ")" if high_open or math.isinf(high) else "]"
        raise ValueError(f"{name} must be in {left}{low:g}, {high:g}{right}, got {value}")


def _is_real(dtype: np.dtype) -> bool:
    # jnp's answer knows bfloat16 and its like, which are of kind V to NumPy, as is a struct.
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)


def check_flag(name: str, value: Any) -> bool:
    """Return `value` as a Python bool; refuse it unless it is True or False.

    >>> check_flag("nesterov", "no")
    Traceback (most recent call last):
    ...
    TypeError: nesterov must be True or False, got 'no'
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


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
    # Equality alone would compare an array entry by entry, and `in` a dict hashes the value.
    if not any(isinstance(value, type(choice)) and value == choice for choice in choices):
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


def check_text(name: str, value: Any) -> str:
    """Return `value`; refuse it unless it is a text.

    >>> check_text("layers", None)
    Traceback (most recent call last):
    ...
    TypeError: layers must be a text, got None
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r}")
    return value


def check_path(name: str, value: Any) -> Path:
    """Return `value` as a `Path`; refuse it unless it is a path, or a text that is not empty.

    >>> check_path("folder", 3)
    Traceback (most recent call last):
    ...
    TypeError: folder must be a path, as a text or a pathlib.Path, got 3
    """
    if not isinstance(value, (str, os.PathLike)) or value == "":
        raise TypeError(f"{name} must be a path, as a text or a pathlib.Path, got {value!r}")
    return Path(value)


def check_function(name: str, value: Any) -> None:
    """Refuse a value that cannot be called.

    >>> check_function("step", 3)
    Traceback (most recent call last):
    ...
    TypeError: step must be a function, got 3
    """
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def check_sequence(name: str, value: Any) -> tuple[Any, ...]:
    """Return the items of a tuple or list; refuse a text and all that is no sequence.

    >>> check_sequence("probes", None)
    Traceback (most recent call last):
    ...
    TypeError: probes must be a tuple or a list, got None
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be a tuple or a list, got {value!r}")
    return tuple(value)


def check_attributes(name: str, value: Any, parts: Sequence[str], allowed: str) -> None:
    """Refuse an object that lacks one of the attributes that it is asked for.

    >>> check_attributes("history", 3, ("epochs",), "the history of a run")
    Traceback (most recent call last):
    ...
    TypeError: history must be the history of a run, got 3
    """
    if isinstance(value, type) or not all(hasattr(value, part) for part in parts):
        raise TypeError(f"{name} must be {allowed}, got {value!r}")


def check_index(name: str, value: Any) -> None:
    """Refuse what is no integer from 0 to 2³¹ − 1; of a tracer, what is no single integer.

    >>> check_index("index", 1.5)
    Traceback (most recent call last):
    ...
    ValueError: index must be an integer from 0 to 2147483647, got 1.5
    """
    if hasattr(value, "dtype"):
        whole = not value.shape and jnp.issubdtype(value.dtype, jnp.integer)
    else:
        whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or (is_concrete(value) and not 0 <= int(value) < 2**31):
        raise ValueError(f"{name} must be an integer from 0 to {2**31 - 1}, got {value!r}")


def missing_extra(feature: str, extra: str) -> ImportError:
    """Build the error for a feature whose optional dependency is not installed.

    >>> print(missing_extra("the report page", "report"))
    the report page needs packages that are not installed: pip install "jaxnn[report]"
    """
    return ImportError(
        f'{feature} needs packages that are not installed: pip install "jaxnn[{extra}]"'
    )
