"""Knobs of optimizers, and the transformations that take them.

Every float argument of an optimizer is a *knob*: a Python number, a traced scalar, or a
schedule, which is a pure function of the count of updates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.arguments import check_knob
from jaxnn.nn.checks import check_dtype, numbers
from jaxnn.tree import check_held

__all__ = [
    "Knob",
    "Schedule",
    "check_schedule",
    "check_scheduled",
    "check_transformation",
    "counted",
    "floating_dtype",
    "next_count",
    "number",
    "transformation",
    "value_at",
]

Schedule = Callable[[jax.Array], jax.Array]
"""A pure function that maps the count of updates (integer, any shape) to a knob's value."""

Knob = float | jax.Array | Schedule
"""The type of every float argument of an optimizer: a number, a traced scalar or a schedule."""


def check_scheduled(name: str, knob: Knob, *bounds: float, **open_ends: bool) -> None:
    """Check a constant knob; a schedule has checked its own constants already."""
    if not callable(knob):
        check_knob(name, knob, *bounds, **open_ends)


def number(name: str, value: Any, *bounds: float, **open_ends: bool) -> Any:
    """Check a constant of a schedule or rule, and return it; an integer becomes a float.

    Steps may be above the largest int32, which JAX would refuse of an integer, or wrap.

    >>> number("transition_steps", 2**40, 0)
    1099511627776.0
    """
    check_knob(name, value, *bounds, **open_ends)
    dtype = jax.dtypes.canonicalize_dtype(float)
    check_held(name, value, {"the schedule": jax.ShapeDtypeStruct((), dtype)})
    return float(value) if isinstance(value, (int, np.number, np.ndarray)) else value


def counted(count: Any) -> jax.Array:
    """Return the counts that a schedule is asked for as floating-point numbers.

    >>> counted(2**40)
    Array(1.0995116e+12, dtype=float32)
    """
    # On the host, where integers may be wider than those of JAX.
    if isinstance(count, (int, np.integer)) and not isinstance(count, bool):
        count = float(count)
    elif isinstance(count, np.ndarray) and count.dtype.kind in "iu":
        count = count.astype(float)
    return jnp.asarray(numbers("count", count), float)


def check_schedule(name: str, schedule: Any) -> None:
    """Refuse what is no schedule.

    >>> check_schedule("schedule", 0.1)
    Traceback (most recent call last):
    ...
    TypeError: schedule must be a function of the count such as constant(0.1), got 0.1
    """
    if not callable(schedule):
        raise TypeError(
            f"{name} must be a function of the count such as constant(0.1), got {schedule!r}"
        )


def check_transformation(name: str, tx: Any) -> None:
    """Refuse what is no Optax transformation.

    >>> check_transformation("optimizer", "adam")
    Traceback (most recent call last):
    ...
    TypeError: optimizer must be an Optax transformation (init, update), got 'adam'
    """
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise TypeError(f"{name} must be an Optax transformation (init, update), got {tx!r}")


def floating_dtype(name: str, dtype: Any) -> Any:
    """Return a dtype for accumulators, or None for that of the parameters.

    >>> floating_dtype("mu_dtype", "int8")
    Traceback (most recent call last):
    ...
    TypeError: mu_dtype must be a floating-point dtype such as jnp.float32, or None, got 'int8'
    """
    check_dtype(name, dtype, none=True)
    return None if dtype is None else jnp.dtype(dtype)


def value_at(knob: Knob, count: jax.Array) -> float | jax.Array:
    """Return the value of a knob at update `count`, whether it is scheduled or not."""
    if callable(knob):
        return knob(count)
    # An integer may be above the largest int32.
    return float(knob) if isinstance(knob, (int, np.integer)) else knob


def next_count(count: jax.Array) -> jax.Array:
    """Return the count after one more update, which stays at the largest int32."""
    return jnp.asarray(optax.safe_increment(count))


def transformation(
    init: Callable[..., Any], update: Callable[..., Any]
) -> optax.GradientTransformationExtraArgs:
    """Build an Optax transformation from functions that name the type of their own state."""
    return optax.GradientTransformationExtraArgs(init, update)
