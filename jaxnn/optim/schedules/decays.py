"""Schedules without an end: what the lectures lower the learning rate by."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_knob, is_concrete
from jaxnn.optim.rate import Schedule

__all__ = [
    "constant",
    "exponential",
    "inverse_time",
    "natural_exponential",
    "piecewise_constant",
    "power",
    "step",
]

Number = float | jax.Array


def _floating(count: jax.Array | float) -> jax.Array:
    return jnp.asarray(count, float)


def completed(count: jax.Array | float, every: Number) -> jax.Array:
    r"""How many whole intervals have passed, $\lfloor t / n \rfloor$, exact where t is whole.

    A compiled division by a constant is a multiplication by its reciprocal, whose rounding
    can leave 41 / 41 just below 1. So the quotient is checked by multiplying back.
    """
    t = _floating(count)
    q = jnp.floor(t / every)
    return q + ((q + 1) * every <= t) - (q * every > t)


def constant(value: Number) -> Schedule:
    r"""The same value at every step, $\alpha_t = \alpha_0$.

    Args:
      value: α₀; a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: NaN.

    >>> constant(0.1)(jnp.int32(7))
    Array(0.1, dtype=float32)
    """
    check_knob("value", value)
    return lambda count: jnp.full(jnp.shape(count), value, float)


def step(init_value: Number, *, every: Number, factor: Number = 0.5) -> Schedule:
    r"""Step decay, $\alpha_t = \alpha_0\, f^{\lfloor t / n \rfloor}$.

    Args:
      init_value: α₀, at least 0.
      every: n, above 0: the number of steps between two drops, or of epochs under
        `in_epochs`. The drop belongs to the step that begins the next interval.
      factor: f, at least 0. Lecture N: 0.5 every 5 epochs, or 0.1 every 20.

    Each is a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = step(1.0, every=5, factor=0.5)
    >>> [float(schedule(count)) for count in (0, 4, 5, 10)]
    [1.0, 1.0, 0.5, 0.25]

    Source: lecture N.
    """
    check_knob("init_value", init_value, 0)
    check_knob("every", every, 0, low_open=True)
    check_knob("factor", factor, 0)
    return lambda count: init_value * raised(factor, completed(count, every))


def raised(base: Number, exponent: jax.Array) -> jax.Array:
    # 0 ** 0 is 1 with a derivative of NaN in JAX; where the exponent is 0, base has no part.
    moving = exponent != 0
    power = _floating(base) ** jnp.where(moving, exponent, 1)
    return jnp.where(moving, power, 1)


def exponential(
    init_value: Number,
    *,
    decay_rate: Number,
    transition_steps: Number = 1,
    staircase: bool = False,
    end_value: Number | None = None,
) -> Schedule:
    r"""Exponential decay, $\alpha_t = \alpha_0\, r^{t/s}$.

    Args:
      init_value: α₀, at least 0.
      decay_rate: r, at least 0; above 1 it grows.
      transition_steps: s, above 0: steps in which the value falls by r. Lecture N and M:
        0.1 every 20 epochs.
      staircase: whether t/s is rounded down, which is `step`.
      end_value: what the value does not pass: from above where r < 1, from below where
        r > 1, as in Optax. None: no end.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = exponential(1.0, decay_rate=0.1, transition_steps=20)
    >>> [round(float(schedule(count)), 4) for count in (0, 20, 40)]
    [1.0, 0.1, 0.01]

    Source: lectures M and N.
    """
    check_knob("init_value", init_value, 0)
    check_knob("decay_rate", decay_rate, 0)
    check_knob("transition_steps", transition_steps, 0, low_open=True)
    if end_value is not None:
        check_knob("end_value", end_value, 0)

    def schedule(count: jax.Array) -> jax.Array:
        exponent = (
            completed(count, transition_steps) if staircase else _floating(count) / transition_steps
        )
        value = init_value * raised(decay_rate, exponent)
        if end_value is None:
            return value
        falling = _floating(decay_rate) < 1
        return jnp.where(falling, jnp.maximum(value, end_value), jnp.minimum(value, end_value))

    return schedule


def natural_exponential(init_value: Number, k: Number) -> Schedule:
    r"""Exponential decay, $\alpha_t = \alpha_0\, e^{-kt}$.

    Args:
      init_value: α₀, at least 0.
      k: at least 0, per step, or per epoch under `in_epochs`.

    Each is a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> natural_exponential(1.0, k=0.5)(2)
    Array(0.36787945, dtype=float32)

    Source: lecture N.
    """
    check_knob("init_value", init_value, 0)
    check_knob("k", k, 0)
    return lambda count: init_value * jnp.exp(-k * _floating(count))


def inverse_time(
    init_value: Number,
    *,
    decay_rate: Number,
    transition_steps: Number = 1,
    staircase: bool = False,
) -> Schedule:
    r"""1/t decay, $\alpha_t = \alpha_0 / (1 + k\,t/s)$.

    Keras' `decay` of its old optimizers is k with s = 1, per update.

    Args:
      init_value: α₀, at least 0.
      decay_rate: k, at least 0.
      transition_steps: s, above 0.
      staircase: whether t/s is rounded down.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> inverse_time(1.0, decay_rate=0.5)(2)
    Array(0.5, dtype=float32)

    Source: lectures L, M and N.
    """
    check_knob("init_value", init_value, 0)
    check_knob("decay_rate", decay_rate, 0)
    check_knob("transition_steps", transition_steps, 0, low_open=True)

    def schedule(count: jax.Array) -> jax.Array:
        if staircase:
            return init_value / (1 + decay_rate * completed(count, transition_steps))
        return init_value / (1 + decay_rate * (_floating(count) / transition_steps))

    return schedule


def power(init_value: Number, *, transition_steps: Number, power: Number = 1.0) -> Schedule:
    r"""Power decay, $\alpha_t = \alpha_0 / (1 + t/s)^c$.

    Args:
      init_value: α₀, at least 0.
      transition_steps: s, above 0: with c = 1, the steps to half of α₀, a third, …
      power: c, at least 0.

    Each is a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = power(1.0, transition_steps=10)
    >>> [round(float(schedule(count)), 4) for count in (0, 10, 20)]
    [1.0, 0.5, 0.3333]

    Source: lecture M.
    """
    check_knob("init_value", init_value, 0)
    check_knob("transition_steps", transition_steps, 0, low_open=True)
    check_knob("power", power, 0)
    return lambda count: init_value * (1 + _floating(count) / transition_steps) ** -power


def piecewise_constant(
    boundaries: Sequence[Number],
    values: Sequence[Number],
    *,
    boundary_belongs_to: Literal["next", "last"] = "next",
) -> Schedule:
    r"""Constant pieces, $\alpha_t = v_i$ for $b_{i-1} \le t < b_i$.

    Args:
      boundaries: steps at which the value changes, in order.
      values: one more than boundaries.
      boundary_belongs_to: the piece that the boundary itself is part of: the "next" one, as
        in Optax and PyTorch, or the "last" one, as in Keras.

    All may be traced scalars.

    Returns:
      A schedule.

    Raises:
      ValueError: boundaries out of order, a number of values that does not fit.

    >>> schedule = piecewise_constant([2, 4], [1.0, 0.1, 0.01])
    >>> [round(float(schedule(count)), 2) for count in (0, 1, 2, 3, 4)]
    [1.0, 1.0, 0.1, 0.1, 0.01]

    Source: lecture M.
    """
    check_choice("boundary_belongs_to", boundary_belongs_to, ("next", "last"))
    check_order("boundaries", boundaries)
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"values must be one more than the {len(boundaries)} boundaries, got {len(values)}"
        )
    for value in values:
        check_knob("values", value)

    def schedule(count: jax.Array) -> jax.Array:
        t = _floating(count)
        current = jnp.full(t.shape, values[0], float)
        for boundary, value in zip(boundaries, values[1:], strict=True):
            past = t >= boundary if boundary_belongs_to == "next" else t > boundary
            current = jnp.where(past, value, current)
        return current

    return schedule


def check_order(name: str, boundaries: Sequence[Number]) -> None:
    """Refuse concrete boundaries that do not rise."""
    for boundary in boundaries:
        check_knob(name, boundary)
    known = [float(boundary) for boundary in boundaries if is_concrete(boundary)]
    if any(later <= earlier for earlier, later in itertools.pairwise(known)):
        raise ValueError(f"{name} must rise, got {known}")
