"""Constant schedules, and schedules that switch between constants."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, is_concrete
from jaxnn.optim.knobs import Schedule, counted, number

__all__ = ["constant", "in_order", "piecewise_constant"]

Number = float | jax.Array


def constant(value: Number) -> Schedule:
    r"""Keep the same value at every step, $\alpha_t = \alpha_0$.

    Args:
      value: α₀; a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is NaN or infinite.

    >>> constant(0.1)(jnp.int32(7))
    Array(0.1, dtype=float32)
    """
    value = number("value", value)
    return lambda count: jnp.full(counted(count).shape, value, float)


def piecewise_constant(
    boundaries: Sequence[Number],
    values: Sequence[Number],
    *,
    boundary_belongs_to: Literal["next", "last"] = "next",
) -> Schedule:
    r"""Switch between constant values, $\alpha_t = v_i$ for $b_{i-1} \le t < b_i$.

    Args:
      boundaries: $b_i$, the steps at which the value changes, in rising order.
      values: $v_i$, one more than boundaries.
      boundary_belongs_to: which value holds at a boundary itself: the "next" one, as in Optax
        and PyTorch, or the "last" one, as in Keras.

    All boundaries and values may be traced scalars.

    Returns:
      A schedule.

    Raises:
      ValueError: the boundaries do not rise, or the values are not one more than they are.

    >>> schedule = piecewise_constant([2, 4], [1.0, 0.1, 0.01])
    >>> [round(float(schedule(count)), 2) for count in (0, 1, 2, 3, 4)]
    [1.0, 1.0, 0.1, 0.1, 0.01]

    Source: lecture M.
    """
    check_choice("boundary_belongs_to", boundary_belongs_to, ("next", "last"))
    boundaries = in_order("boundaries", boundaries)
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"values must be a list of numbers, got {values!r}")
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"values must be one more than the {len(boundaries)} boundaries, got {len(values)}"
        )
    values = [number("values", value) for value in values]

    def schedule(count: jax.Array) -> jax.Array:
        t = counted(count)
        current = jnp.full(t.shape, values[0], float)
        for boundary, value in zip(boundaries, values[1:], strict=True):
            past = t >= boundary if boundary_belongs_to == "next" else t > boundary
            current = jnp.where(past, value, current)
        return current

    return schedule


def in_order(name: str, boundaries: Sequence[Number]) -> list[Any]:
    """Refuse concrete boundaries that do not rise, and return them as floats."""
    if not isinstance(boundaries, (list, tuple)):
        raise TypeError(f"{name} must be a list of numbers, got {boundaries!r}")
    boundaries = [number(name, boundary) for boundary in boundaries]
    known = [float(boundary) for boundary in boundaries if is_concrete(boundary)]
    if any(later <= earlier for earlier, later in itertools.pairwise(known)):
        raise ValueError(f"{name} must rise, got {known}")
    return boundaries
