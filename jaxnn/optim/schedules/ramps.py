"""Schedules with an end: from one value to another in a given number of steps.

`clamp=True` stays at the end for ever after, as Optax and Keras do; `clamp=False` goes on by
the formula, as PyTorch does, so that a cosine rises again.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob
from jaxnn.optim.rate import Schedule
from jaxnn.optim.schedules.decays import completed, raised

__all__ = ["cosine", "cosine_restarts", "linear", "one_cycle", "polynomial"]

Number = float | jax.Array


def _fraction(count: Any, begin: Number, steps: Number, clamp: bool) -> jax.Array:
    done = jnp.maximum((jnp.asarray(count, float) - begin) / steps, 0)
    return jnp.minimum(done, 1) if clamp else done


def _check(init_value: Number, end_value: Number, steps: Number, begin: Number) -> None:
    check_knob("init_value", init_value, 0)
    check_knob("end_value", end_value, 0)
    check_knob("transition_steps", steps, 0, low_open=True)
    check_knob("transition_begin", begin, 0)


def linear(
    init_value: Number,
    end_value: Number,
    transition_steps: Number,
    transition_begin: Number = 0,
    *,
    clamp: bool = True,
) -> Schedule:
    r"""A straight line, $\alpha_t = \alpha_0 + (\alpha_1 - \alpha_0)\,\tau$, $\tau = (t - b)/s$.

    Args:
      init_value: α₀, at least 0, up to the beginning.
      end_value: α₁, at least 0.
      transition_steps: s, above 0.
      transition_begin: b, at least 0.
      clamp: whether τ stays at 1; else the line goes on, below 0 in the end.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = linear(1.0, 0.0, 10)
    >>> [float(schedule(count)) for count in (0, 5, 10, 15)]
    [1.0, 0.5, 0.0, 0.0]
    """
    _check(init_value, end_value, transition_steps, transition_begin)

    def schedule(count: jax.Array) -> jax.Array:
        tau = _fraction(count, transition_begin, transition_steps, clamp)
        return init_value + (end_value - init_value) * tau

    return schedule


def polynomial(
    init_value: Number,
    end_value: Number,
    power: Number,
    transition_steps: Number,
    transition_begin: Number = 0,
    *,
    clamp: bool = True,
) -> Schedule:
    r"""A polynomial, $\alpha_t = (\alpha_0 - \alpha_1)(1 - \tau)^c + \alpha_1$, $\tau = (t-b)/s$.

    Args:
      init_value: α₀, at least 0, up to the beginning.
      end_value: α₁, at least 0.
      power: c, above 0.
      transition_steps: s, above 0.
      transition_begin: b, at least 0.
      clamp: whether τ stays at 1; else the formula goes on with $-|1 - \tau|^c$, the odd
        continuation, which any power has.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = polynomial(1.0, 0.0, 2.0, 10)
    >>> [float(schedule(count)) for count in (0, 5, 10, 15)]
    [1.0, 0.25, 0.0, 0.0]
    """
    _check(init_value, end_value, transition_steps, transition_begin)
    check_knob("power", power, 0, low_open=True)

    def schedule(count: jax.Array) -> jax.Array:
        left = 1 - _fraction(count, transition_begin, transition_steps, clamp)
        # The power of 0 has no derivative in the exponent; at the end there is nothing left.
        ended = left == 0
        size = jnp.abs(jnp.where(ended, 1, left)) ** power
        return end_value + (init_value - end_value) * jnp.where(ended, 0, jnp.sign(left) * size)

    return schedule


def _half_wave(tau: jax.Array) -> jax.Array:
    return 0.5 * (1 + jnp.cos(jnp.pi * tau))


def cosine(
    init_value: Number,
    decay_steps: Number,
    alpha: Number = 0.0,
    exponent: Number = 1.0,
    *,
    clamp: bool = True,
) -> Schedule:
    r"""Half a cosine wave down to a fraction of the start.

    $$\alpha_t = \alpha_0 \Big[(1 - a)\,\big(\tfrac12 (1 + \cos \pi t/s)\big)^p + a\Big]$$

    Args:
      init_value: α₀, at least 0.
      decay_steps: s, above 0.
      alpha: a, the end as a fraction of the start, in [0, 1].
      exponent: p, above 0.
      clamp: whether the value stays at the end; else the wave goes on and rises again.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> [round(float(cosine(1.0, 10)(count)), 3) for count in (0, 5, 10, 15)]
    [1.0, 0.5, 0.0, 0.0]
    >>> [round(float(cosine(1.0, 10, clamp=False)(count)), 3) for count in (10, 15, 20)]
    [0.0, 0.5, 1.0]

    Source: Loshchilov and Hutter 2017.
    """
    check_knob("init_value", init_value, 0)
    check_knob("decay_steps", decay_steps, 0, low_open=True)
    check_knob("alpha", alpha, 0, 1)
    check_knob("exponent", exponent, 0, low_open=True)

    def schedule(count: jax.Array) -> jax.Array:
        wave = _half_wave(_fraction(count, 0, decay_steps, clamp))
        ended = wave <= 0
        shape = jnp.where(ended, 0, jnp.where(ended, 1, wave) ** exponent)
        return init_value * ((1 - alpha) * shape + alpha)

    return schedule


def cosine_restarts(
    init_value: Number,
    first_decay_steps: Number,
    *,
    t_mul: Number = 2.0,
    m_mul: Number = 1.0,
    alpha: Number = 0.0,
) -> Schedule:
    r"""Half cosine waves that begin anew, each `t_mul` times as long as the one before.

    Args:
      init_value: of the first wave, at least 0.
      first_decay_steps: length of the first wave, above 0.
      t_mul: at least 1: length of a wave over that of the one before.
      m_mul: at least 0: start of a wave over that of the one before.
      alpha: end of a wave as a fraction of its start, in [0, 1].

    Each is a float or a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = cosine_restarts(1.0, 10)
    >>> [round(float(schedule(count)), 3) for count in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]

    Source: Loshchilov and Hutter 2017 (SGDR).
    """
    check_knob("init_value", init_value, 0)
    check_knob("first_decay_steps", first_decay_steps, 0, low_open=True)
    check_knob("t_mul", t_mul, 1)
    check_knob("m_mul", m_mul, 0)
    check_knob("alpha", alpha, 0, 1)

    def schedule(count: jax.Array) -> jax.Array:
        t = jnp.maximum(jnp.asarray(count, float), 0)
        # Where t_mul is 1 the general formula is 0/0, so it is given another factor, whose
        # result is not used.
        m = jnp.asarray(t_mul, float)
        equal = m == 1
        safe = jnp.where(equal, 2, m)

        def start_of(wave: jax.Array) -> jax.Array:
            return first_decay_steps * jnp.where(equal, wave, (safe**wave - 1) / (safe - 1))

        general = jnp.floor(jnp.log1p(t / first_decay_steps * (safe - 1)) / jnp.log(safe))
        wave = jnp.where(equal, completed(t, first_decay_steps), general)
        # Rounding may put a restart on the wrong side of its step.
        wave = wave + (start_of(wave + 1) <= t) - (start_of(wave) > t)
        wave = jax.lax.stop_gradient(wave)
        tau = (t - start_of(wave)) / (first_decay_steps * jnp.where(equal, 1, safe**wave))
        start = init_value * raised(m_mul, wave)
        return start * ((1 - alpha) * _half_wave(tau) + alpha)

    return schedule


def one_cycle(
    peak_value: Number,
    transition_steps: Number,
    *,
    pct_start: Number = 0.3,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    clamp: bool = True,
) -> Schedule:
    r"""Up to a peak and down to almost nothing, along half cosine waves.

    From $\alpha/d$ to α in the first part, then to $\alpha/(d f)$.

    Args:
      peak_value: α, at least 0.
      transition_steps: of the whole cycle, above 0.
      pct_start: the part in which it rises, in (0, 1).
      div_factor: d, at least 1.
      final_div_factor: f, at least 1.
      clamp: whether the value stays at the end; else the wave goes on and rises again.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value outside its range.

    >>> schedule = one_cycle(1.0, 100, pct_start=0.25)
    >>> [round(float(schedule(count)), 4) for count in (0, 25, 100)]
    [0.04, 1.0, 0.0]

    Source: Smith and Topin 2019.
    """
    check_knob("peak_value", peak_value, 0)
    check_knob("transition_steps", transition_steps, 0, low_open=True)
    check_knob("pct_start", pct_start, 0, 1, low_open=True, high_open=True)
    check_knob("div_factor", div_factor, 1)
    check_knob("final_div_factor", final_div_factor, 1)

    def schedule(count: jax.Array) -> jax.Array:
        top = pct_start * transition_steps
        rise = _half_wave(_fraction(count, 0, top, True))
        fall = _half_wave(_fraction(count, top, transition_steps - top, clamp))
        low, end = peak_value / div_factor, peak_value / (div_factor * final_div_factor)
        up = low + (peak_value - low) * (1 - rise)
        down = end + (peak_value - end) * fall
        return jnp.where(jnp.asarray(count, float) < top, up, down)

    return schedule
