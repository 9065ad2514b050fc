"""Schedules without an end: the decays of the learning rate that the lectures teach."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import Schedule, counted, number

__all__ = [
    "exponential",
    "inverse_time",
    "natural_exponential",
    "power",
    "step",
]

Number = float | jax.Array


def completed(count: jax.Array | float, every: Number) -> jax.Array:
    r"""Count whole intervals, $\lfloor t / n \rfloor$, exactly if t is a whole number.

    XLA compiles a division by a constant to a multiplication by its reciprocal, whose rounding
    can leave 41 / 41 just below 1. So the quotient is checked by multiplying back.
    """
    t = counted(count)
    q = jnp.floor(t / every)
    return q + ((q + 1) * every <= t) - (q * every > t)


def step(init_value: Number, *, every: Number, factor: Number = 0.5) -> Schedule:
    r"""Multiply by a factor at regular intervals ("step decay").

    $$\alpha_t = \alpha_0\, f^{\lfloor t / n \rfloor}$$

    Args:
      init_value: α₀, at least 0.
      every: n, above 0: the number of steps between two drops, or of epochs under
        `in_epochs`. The first step of an interval has the lower value already.
      factor: f, at least 0. Lecture N suggests 0.5 every 5 epochs or 0.1 every 20 epochs.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = step(1.0, every=5, factor=0.5)
    >>> [float(schedule(count)) for count in (0, 4, 5, 10)]
    [1.0, 1.0, 0.5, 0.25]

    Source: lecture N.
    """
    init_value = number("init_value", init_value, 0)
    every = number("every", every, 0, low_open=True)
    factor = number("factor", factor, 0)
    return lambda count: init_value * raised(factor, completed(count, every))


def raised(base: Number, exponent: jax.Array) -> jax.Array:
    """Compute $b^e$ with a derivative that is finite at $0^0$."""
    # JAX gives 0 ** 0 the derivative NaN. With an exponent of 0 the base has no influence.
    moving = exponent != 0
    power = jnp.asarray(base, float) ** jnp.where(moving, exponent, 1)
    return jnp.where(moving, power, 1)


def exponential(
    init_value: Number,
    *,
    decay_rate: Number,
    transition_steps: Number = 1,
    transition_begin: Number = 0,
    staircase: bool = False,
    end_value: Number | None = None,
) -> Schedule:
    r"""Decay exponentially by a factor per interval, $\alpha_t = \alpha_0\, r^{t/s}$.

    `natural_exponential` is the same curve written as $\alpha_0 e^{-kt}$, as lecture N has it.

    Args:
      init_value: α₀, at least 0.
      decay_rate: r, at least 0; above 1 the value grows.
      transition_steps: s, above 0: the number of steps in which the value changes by the factor
        r. Lecture M takes r = 0.1 and s = 20 epochs, with one value per epoch (`in_epochs` with
        `whole=True`).
      transition_begin: the step, at least 0, until which α₀ holds and from which t counts.
      staircase: whether t/s is rounded down, which makes this `step`.
      end_value: the value at which the decay stops: a lower bound if r < 1, an upper bound
        otherwise, as in Optax. None: no bound.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = exponential(1.0, decay_rate=0.1, transition_steps=20)
    >>> [round(float(schedule(count)), 4) for count in (0, 20, 40)]
    [1.0, 0.1, 0.01]

    Source: lecture M.
    """
    init_value = number("init_value", init_value, 0)
    decay_rate = number("decay_rate", decay_rate, 0)
    transition_steps = number("transition_steps", transition_steps, 0, low_open=True)
    transition_begin = number("transition_begin", transition_begin, 0)
    staircase = check_flag("staircase", staircase)
    if end_value is not None:
        end_value = number("end_value", end_value, 0)

    def schedule(count: jax.Array) -> jax.Array:
        t = jnp.maximum(counted(count) - transition_begin, 0)
        exponent = completed(t, transition_steps) if staircase else t / transition_steps
        value = init_value * raised(decay_rate, exponent)
        if end_value is None:
            return value
        falling = jnp.asarray(decay_rate, float) < 1
        return jnp.where(falling, jnp.maximum(value, end_value), jnp.minimum(value, end_value))

    return schedule


def natural_exponential(init_value: Number, k: Number) -> Schedule:
    r"""Decay exponentially at a rate per step, $\alpha_t = \alpha_0\, e^{-kt}$.

    `exponential` is the same curve written as $\alpha_0 r^{t/s}$, with $r^{1/s} = e^{-k}$.

    Args:
      init_value: α₀, at least 0.
      k: at least 0, per step, or per epoch under `in_epochs`.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> natural_exponential(1.0, k=0.5)(2)
    Array(0.36787945, dtype=float32)

    Source: lecture N ("exponential decay").
    """
    init_value = number("init_value", init_value, 0)
    k = number("k", k, 0)
    return lambda count: init_value * jnp.exp(-k * counted(count))


def inverse_time(
    init_value: Number,
    *,
    decay_rate: Number,
    transition_steps: Number = 1,
    staircase: bool = False,
) -> Schedule:
    r"""Decay like 1/t, $\alpha_t = \alpha_0 / (1 + k\,t/s)$.

    The argument `decay` of Keras' older optimizers is k with s = 1 and t in updates.

    Args:
      init_value: α₀, at least 0.
      decay_rate: k, at least 0.
      transition_steps: s, above 0.
      staircase: whether t/s is rounded down.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> inverse_time(1.0, decay_rate=0.5)(2)
    Array(0.5, dtype=float32)

    Source: lectures L, M and N.
    """
    init_value = number("init_value", init_value, 0)
    decay_rate = number("decay_rate", decay_rate, 0)
    transition_steps = number("transition_steps", transition_steps, 0, low_open=True)
    staircase = check_flag("staircase", staircase)

    def schedule(count: jax.Array) -> jax.Array:
        if staircase:
            return init_value / (1 + decay_rate * completed(count, transition_steps))
        return init_value / (1 + decay_rate * (counted(count) / transition_steps))

    return schedule


def power(init_value: Number, *, transition_steps: Number, power: Number = 1.0) -> Schedule:
    r"""Decay like a power of time, $\alpha_t = \alpha_0 / (1 + t/s)^c$.

    Args:
      init_value: α₀, at least 0.
      transition_steps: s, above 0. With c = 1 the value is α₀/2 after s steps, α₀/3 after 2s.
      power: c, at least 0.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = power(1.0, transition_steps=10)
    >>> [round(float(schedule(count)), 4) for count in (0, 10, 20)]
    [1.0, 0.5, 0.3333]

    Source: lecture M.
    """
    init_value = number("init_value", init_value, 0)
    transition_steps = number("transition_steps", transition_steps, 0, low_open=True)
    power = number("power", power, 0)
    return lambda count: init_value * (1 + counted(count) / transition_steps) ** -power
