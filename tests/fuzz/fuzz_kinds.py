"""Kinds of arguments: a valid value, and which other values the documentation allows.

What a kind does not allow has to be refused. So each kind is an oracle: a value that is taken
although it is not allowed is silent nonsense, whatever comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import (
    Argument,
    are_integers,
    inside_of,
    is_array,
    is_integer,
    is_list_of_numbers,
    is_number,
    is_real,
)

_HUGE = ("2**40", "10**30")
_CALLABLES = ("function", "class")


def knob(
    value: Any,
    interval: str = "(-inf, inf)",
    *,
    none: bool = False,
    schedule: bool = False,
    vanishes: bool = True,
    also: Callable[[Any], bool] = lambda value: False,
    called: tuple[str, ...] = (),
) -> Argument:
    """One real number in an interval; `vanishes=False`: it must not become 0 in float32."""
    inside = inside_of(interval)

    def takes(other: Any) -> bool:
        if other is None:
            return none
        if not is_number(other):
            return (schedule and callable(other)) or also(other)
        other = float(other)
        return inside(other) and (vanishes or other == 0 or 1e-37 < abs(other) < 3e38)

    return Argument(value, takes, called, _CALLABLES if schedule else ())


def flag(value: bool) -> Argument:
    return Argument(value, lambda other: isinstance(other, bool))


def integer(
    value: Any,
    low: float = 1,
    high: float = math.inf,
    *,
    none: bool = False,
    huge: bool = False,
    also: Callable[[Any], bool] = lambda value: False,
    called: tuple[str, ...] = (),
) -> Argument:
    """An integer; `huge`: whether 2^40 is tried, which takes no memory and no time."""

    def takes(other: Any) -> bool:
        if other is None:
            return none
        return (is_integer(other) and low <= int(other) <= high) or also(other)

    return Argument(value, takes, called, () if huge else _HUGE)


def integers(value: Any, low: int = 1, lengths: Any = range(1, 9), **more: Any) -> Argument:
    """A sequence of integers."""
    return Argument(value, lambda other: are_integers(other, low, lengths), skip=_HUGE, **more)


def numbers(value: Any, interval: str = "(-inf, inf)", lengths: Any = range(9)) -> Argument:
    """A sequence of numbers."""
    inside = inside_of(interval)

    def takes(other: Any) -> bool:
        sequence = isinstance(other, (tuple, list)) or (is_array(other) and other.ndim == 1)
        return (
            sequence
            and len(other) in lengths
            and all(is_number(item) and inside(float(item)) for item in other)
        )

    return Argument(value, takes)


def choice(value: Any, *others: Any, none: bool = False) -> Argument:
    allowed = (value, *others)
    return Argument(
        value,
        lambda other: (
            (other is None and none)
            or (
                isinstance(other, str | int)
                and any(
                    other is one or (type(other) is type(one) and other == one) for one in allowed
                )
            )
        ),
    )


def text(value: str | None, *, none: bool = False, **more: Any) -> Argument:
    return Argument(value, lambda o: isinstance(o, str) or (none and o is None), **more)


def array(
    value: Any,
    *,
    none: bool = False,
    also: Callable[[Any], bool] = lambda value: False,
    called: tuple[str, ...] = (),
    undefined: Callable[[Any], bool] = lambda other: False,
) -> Argument:
    """Real numbers of any shape; the call says which shapes, and has to refuse the others."""

    def takes(other: Any) -> bool:
        if other is None:
            return none
        if isinstance(other, bool) or (is_array(other) and other.dtype == bool):
            return True
        return also(other) or is_real(other) or is_list_of_numbers(other)

    return Argument(value, takes, called, loose=True, holds_numbers=True, undefined=undefined)


def tree(
    value: Any,
    *,
    none: bool = False,
    complex_too: bool = False,
    also: Callable[[Any], bool] = lambda value: False,
    called: tuple[str, ...] = (),
) -> Argument:
    """A pytree of arrays of real numbers, or of complex ones too."""

    def allowed(leaf: Any) -> bool:
        is_complex = isinstance(leaf, complex) or (
            is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.complexfloating)
        )
        return is_real(leaf) or (complex_too and is_complex)

    def takes(other: Any) -> bool:
        if other is None:
            return none
        return also(other) or all(map(allowed, jax.tree.leaves(other)))

    return Argument(value, takes, called, loose=True, holds_numbers=True)


def key(value: Any) -> Argument:
    def takes(other: Any) -> bool:
        if is_array(other) and other.ndim and other.dtype == np.uint32:
            return other.shape == (2,)
        if is_array(other) and jnp.issubdtype(other.dtype, jax.dtypes.prng_key):
            return other.ndim == 0
        return is_integer(other) and -(2**31) <= int(other) < 2**32

    return Argument(value, takes)


def function(value: Any, *, none: bool = False, also: Any = None, **more: Any) -> Argument:
    """A function. What a strange one returns cannot be known before it is called."""

    def takes(other: Any) -> bool:
        return callable(other) or (none and other is None) or (also is not None and also(other))

    return Argument(value, takes, skip=_CALLABLES, **more)


def mask(value: Any, *, none: bool = True) -> Argument:
    """None, a regular expression, a function, or a tree of booleans, such as True alone."""

    def takes(other: Any) -> bool:
        if isinstance(other, str):
            return other != "("
        leaves = jax.tree.leaves(other)
        return (
            (none and other is None)
            or callable(other)
            or (bool(leaves) and all(isinstance(leaf, (bool, np.bool_)) for leaf in leaves))
        )

    return Argument(value, takes, skip=_CALLABLES)


def dtype(value: Any, *, none: bool = True) -> Argument:
    return Argument(value, lambda other: none and other is None)


def anything(value: Any, takes: Callable[[Any], bool] = lambda value: True, **more) -> Argument:
    return Argument(value, takes, **more)


def only(value: Any, *, none: bool = False, **more: Any) -> Argument:
    """Objects of one class, of which the pool has none."""
    return Argument(value, lambda other: none and other is None, **more)


def mapping(value: Any, takes: Callable[[Any], bool], *, none: bool = False, **more) -> Argument:
    """A dict whose values a function allows; an empty one too."""

    def all_allowed(other: Any) -> bool:
        if other is None:
            return none
        return isinstance(other, Mapping) and all(takes(item) for item in other.values())

    return Argument(value, all_allowed, **more)
