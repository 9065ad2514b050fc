"""An argument of a valid call, and what kind of value something is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True, eq=False)
class Argument:
    """One argument of a valid call.

    Attributes:
      value: a valid value.
      takes: whether another value is allowed.
      called: further words by which an error may name the argument.
      skip: names of bad values that are not tried here, since they mean hours or terabytes.
      loose: whether an error may name another argument of the call, as with two shapes that
        must agree.
      holds_numbers: whether values may hold NaN and Inf, which may then come out.
      undefined: whether an allowed value leaves nothing to compute, which gives NaN, as weights
        that are all 0 may.
    """

    value: Any
    takes: Callable[[Any], bool]
    called: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    loose: bool = False
    holds_numbers: bool = False
    undefined: Callable[[Any], bool] = lambda other: False


def always(other: Any) -> bool:
    return True


def is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, jax.Array))


def is_real(value: Any) -> bool:
    """Whether a leaf is a real number, or an array of them that JAX can hold."""
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or is_array(value)):
        return False
    if isinstance(value, int):
        return abs(value) < 2**31
    if isinstance(value, float):
        return True
    kind = value.dtype
    if not (jnp.issubdtype(kind, jnp.integer) or jnp.issubdtype(kind, jnp.floating)):
        return False
    return not (jnp.issubdtype(kind, jnp.integer) and np.size(value) and _beyond(value))


def _beyond(value: Any) -> bool:
    return float(np.abs(np.asarray(value, np.float64)).max()) >= 2**32


def is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        return True
    return is_array(value) and value.ndim == 0 and is_real(value)


def is_integer(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, (int, np.integer)):
        return True
    return is_array(value) and value.ndim == 0 and jnp.issubdtype(value.dtype, jnp.integer)


def inside_of(interval: str) -> Callable[[float], bool]:
    left, low, high, right = re.fullmatch(r"([\[(])(.+), (.+)([\])])", interval).groups()
    low, high = float(low), float(high)

    def inside(value: float) -> bool:
        above = value >= low if left == "[" else value > low
        return math.isfinite(value) and above and (value <= high if right == "]" else value < high)

    return inside


def are_integers(value: Any, low: int = 1, lengths: Any = range(1, 9)) -> bool:
    if not isinstance(value, (tuple, list)) and not (is_array(value) and value.ndim == 1):
        return False
    return len(value) in lengths and all(is_integer(item) and item >= low for item in value)


def is_list_of_numbers(value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    try:
        return is_real(np.asarray(value))
    except ValueError:
        return False
