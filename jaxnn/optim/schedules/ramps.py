"""Straight and polynomial ramps from one value to another in a given number of steps.

With `clamp=True` the value stays at the end from then on, as in Optax and Keras. With
`clamp=False` the formula continues, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import Schedule, counted, number
from jaxnn.optim.schedules.decays import completed

__all__ = ["fraction", "linear", "polynomial"]

Number = float | jax.Array


def fraction(count: Any, begin: Number, steps: Number, clamp: bool) -> jax.Array:
    """Compute the share of the ramp that is done, 0 before its beginning."""
    done = jnp.maximum((counted(count) - begin) / steps, 0)
    return jnp.minimum(done, 1) if clamp else done


def _checked(
    init_value: Number, end_value: Number, steps: Number, begin: Number
) -> tuple[Any, Any, Any, Any]:
    """Refuse concrete constants of a ramp that are out of range, and return them."""
    return (
        number("init_value", init_value, 0),
        number("end_value", end_value, 0),
        number("transition_steps", steps, 0, low_open=True),
        number("transition_begin", begin, 0),
    )


def linear(
    init_value: Number,
    end_value: Number,
    transition_steps: Number,
    transition_begin: Number = 0,
    *,
    clamp: bool = True,
) -> Schedule:
    r"""Follow a straight line, $\alpha_t = \alpha_0 + (\alpha_1 - \alpha_0)\,\tau$.

    Here $\tau = (t - b)/s$ is the share of the ramp that is done.

    Args:
      init_value: α₀, at least 0, which holds until step b.
      end_value: α₁, at least 0.
      transition_steps: s, above 0.
      transition_begin: b, at least 0.
      clamp: whether τ stays at 1. Otherwise the line continues, and falls below 0 if α₁ < α₀.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = linear(1.0, 0.0, 10)
    >>> [float(schedule(count)) for count in (0, 5, 10, 15)]
    [1.0, 0.5, 0.0, 0.0]
    """
    start, end, steps, begin = _checked(init_value, end_value, transition_steps, transition_begin)
    clamp = check_flag("clamp", clamp)

    def schedule(count: jax.Array) -> jax.Array:
        return start + (end - start) * fraction(count, begin, steps, clamp)

    return schedule


def polynomial(
    init_value: Number,
    end_value: Number,
    power: Number,
    transition_steps: Number,
    transition_begin: Number = 0,
    *,
    clamp: bool = True,
    cycle: bool = False,
) -> Schedule:
    r"""Follow a polynomial, $\alpha_t = (\alpha_0 - \alpha_1)(1 - \tau)^c + \alpha_1$.

    Here $\tau = (t - b)/s$ is the share of the ramp that is done.

    Args:
      init_value: α₀, at least 0, which holds until step b.
      end_value: α₁, at least 0.
      power: c, above 0.
      transition_steps: s, above 0.
      transition_begin: b, at least 0.
      clamp: whether τ stays at 1. Otherwise the formula continues with $-|1 - \tau|^c$, which
        is defined for every power c.
      cycle: whether to stretch s to its next multiple each time it is over, as Keras does: the
        value jumps up after each s steps, and falls to the end again, ever more slowly.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range, or `cycle` is combined with `clamp=False`,
        between which there is no choice: a cycle never ends.

    >>> schedule = polynomial(1.0, 0.0, 2.0, 10)
    >>> [float(schedule(count)) for count in (0, 5, 10, 15)]
    [1.0, 0.25, 0.0, 0.0]
    """
    start, end, steps, begin = _checked(init_value, end_value, transition_steps, transition_begin)
    power = number("power", power, 0, low_open=True)
    clamp, cycle = check_flag("clamp", clamp), check_flag("cycle", cycle)
    if cycle and not clamp:
        raise ValueError("clamp must be True where cycle=True, got False")

    def schedule(count: jax.Array) -> jax.Array:
        span = steps
        if cycle:
            t = counted(count) - begin
            done = completed(t, steps)
            span = steps * jnp.maximum(done + (done * steps < t), 1)
        left = 1 - fraction(count, begin, span, clamp)
        # 0 to a power has no derivative in the exponent: at the end the term is set to 0.
        ended = left == 0
        size = jnp.abs(jnp.where(ended, 1, left)) ** power
        return end + (start - end) * jnp.where(ended, 0, jnp.sign(left) * size)

    return schedule
