"""Checks that layers, activations and initializers share: inputs, dtypes, initializers.

They look at shapes and dtypes alone (and at the range of wide integers on the host), so they run
when a model is traced, and leave what is compiled as it is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import ScopeParamShapeError

from jaxnn.arguments import check_knob
from jaxnn.tree import check_held, host_array

__all__ = [
    "check_axes",
    "check_dtype",
    "check_held_knob",
    "check_initializer",
    "checked_inputs",
    "fitting_parameters",
    "numbers",
    "shape_of_inputs",
]

_Call = TypeVar("_Call", bound=Callable[..., Any])


def numbers(
    name: str, value: Any, *, axes: int = 0, inexact: bool = False, complex_too: bool = False
) -> jax.Array:
    """Return an array, a number or a list of numbers as a JAX array; an array is returned as is.

    Args:
      name: of the argument, for the message.
      value: what the user gave.
      axes: how many axes it must have at least.
      inexact: whether integers and Booleans become floating-point numbers.
      complex_too: whether complex numbers are allowed.

    Raises:
      TypeError: `value` does not hold numbers.
      ValueError: a ragged list, too few axes, or integers that JAX would narrow to others.

    >>> numbers("x", [0, 2])
    Array([0, 2], dtype=int32)
    """
    array = value if isinstance(value, jax.Array) else host_array(name, value)
    kinds = (jnp.bool_, jnp.integer, jnp.floating, *((jnp.complexfloating,) if complex_too else ()))
    is_time = isinstance(array, np.ndarray) and array.dtype.kind in "mM"
    if is_time or not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        words = "numbers" if complex_too else "real numbers"
        raise TypeError(f"{name} must be an array of {words}, got {_described(value, array)}")
    if array.ndim < axes:
        raise ValueError(
            f"{name} must have at least {axes} {'axis' if axes == 1 else 'axes'}, "
            f"got the shape {array.shape}"
        )
    if isinstance(value, (bool, int, float, complex)):
        array = jnp.asarray(value)  # its dtype gives way to that of others
    elif not isinstance(array, jax.Array):
        array = jnp.asarray(array)
    if inexact and not jnp.issubdtype(array.dtype, jnp.inexact):
        array = array.astype(float)
    return array


def _described(value: Any, array: Any) -> str:
    if isinstance(value, (jax.Array, np.ndarray)):
        return f"dtype {array.dtype}"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def checked_inputs(*, axes: int = 0) -> Callable[[_Call], _Call]:
    """Check the inputs x of a Linen module's `__call__`, and that its parameters fit them.

    Args:
      axes: how many axes x must have at least.
    """

    def decorate(call: _Call) -> _Call:
        @functools.wraps(call)
        def checked(self: Any, x: Any, *arguments: Any, **keywords: Any) -> Any:
            x = numbers("x", x, axes=axes)
            if axes and not x.shape[-1]:
                raise ValueError(f"x must have at least one feature, got the shape {x.shape}")
            with fitting_parameters("x", x):
                return call(self, x, *arguments, **keywords)

        return cast(_Call, checked)

    return decorate


@contextmanager
def fitting_parameters(name: str, x: Any) -> Iterator[None]:
    """Say of parameters that were made for inputs of another width that these do not fit."""
    try:
        yield
    except ScopeParamShapeError as error:
        raise ValueError(
            f"{name} must have the shape that the parameters were made for, but for the batch, "
            f"got {np.shape(x)}: {str(error).partition(' (http')[0]}"
        ) from None


def shape_of_inputs(x: Any) -> Any:
    """Return inputs as an array or a shape; refuse what has no axis of examples, or is empty.

    >>> shape_of_inputs([1.0]).shape
    (1,)
    """
    shaped = x if isinstance(x, jax.ShapeDtypeStruct) else numbers("x", x)
    if not shaped.ndim or 0 in shaped.shape:
        raise ValueError(f"x must have an axis of examples and none of size 0, got {x!r}")
    return shaped


def check_axes(name: str, value: Any, x: jax.Array, *, several: bool = False) -> None:
    """Refuse what is no axis of x, or where `several` are allowed, no different axes of it.

    >>> check_axes("axis", -1, jnp.ones((2, 3)))
    """
    listed = several and isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    given: list[Any] = list(value) if listed else [value]
    try:
        if any(isinstance(axis, (bool, np.bool_)) for axis in given):
            raise TypeError
        places = [operator.index(axis) for axis in given]
    except TypeError:
        places = []
    inside = all(-x.ndim <= axis < x.ndim for axis in places)
    if not places or not inside or len({axis % x.ndim for axis in places}) != len(places):
        what = "an axis, or different axes," if several else "one axis"
        raise ValueError(f"{name} must be {what} of x, of shape {x.shape}, got {value!r}")


def check_dtype(name: str, dtype: Any, *, none: bool = False) -> None:
    """Refuse what is not a real floating-point dtype.

    Args:
      name: of the argument, for the message.
      dtype: such as `float`, "bfloat16" or `jnp.float32`.
      none: whether None is allowed.

    >>> check_dtype("param_dtype", int)
    Traceback (most recent call last):
    ...
    TypeError: param_dtype must be a floating-point dtype such as jnp.float32, got <class 'int'>
    """
    if none and dtype is None:
        return
    # NumPy takes None for float64, and an array for its own dtype.
    is_one = dtype is not None and not isinstance(dtype, (jax.Array, np.ndarray, np.generic))
    try:
        floating = is_one and jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except (TypeError, ValueError, SyntaxError):  # whichever NumPy has for what is no dtype
        floating = False
    if not floating:
        raise TypeError(
            f"{name} must be a floating-point dtype such as jnp.float32"
            f"{', or None' if none else ''}, got {dtype!r}"
        )


def check_initializer(name: str, initializer: Any, *, none: bool = False) -> None:
    """Refuse what is not a function, where an initializer is asked for.

    >>> check_initializer("kernel_init", None, none=True)
    """
    if not callable(initializer) and not (none and initializer is None):
        raise TypeError(
            f"{name} must be an initializer (key, shape, dtype) -> array"
            f"{', or None' if none else ''}, got {initializer!r}"
        )


def check_held_knob(name: str, value: Any, low: float = -jnp.inf, **open_ends: bool) -> None:
    """Refuse a knob outside its range, or one that the default floating dtype cannot hold.

    >>> check_held_knob("scale", 1.0, 0)
    """
    check_knob(name, value, low, **open_ends)
    if isinstance(value, (int, float)):
        check_held(
            name, value, {"x": jax.ShapeDtypeStruct((), jax.dtypes.canonicalize_dtype(float))}
        )
