"""Schedules along half cosine waves: one, and repeated ones.

With `clamp=True` the value stays at the end from then on, as in Optax and Keras. With
`clamp=False` the wave continues, as in PyTorch, so that it rises again.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import Schedule, counted, number
from jaxnn.optim.schedules.decays import completed, raised
from jaxnn.optim.schedules.ramps import fraction

__all__ = ["cosine", "cosine_restarts", "half_wave"]

Number = float | jax.Array


def half_wave(tau: jax.Array) -> jax.Array:
    """Compute ½ (1 + cos πτ), which falls from 1 to 0."""
    return 0.5 * (1 + jnp.cos(jnp.pi * tau))


def cosine(
    init_value: Number,
    decay_steps: Number,
    alpha: Number = 0.0,
    exponent: Number = 1.0,
    *,
    clamp: bool = True,
) -> Schedule:
    r"""Follow half a cosine wave down to a fraction of the first value.

    $$\alpha_t = \alpha_0 \Big[(1 - a)\,\big(\tfrac12 (1 + \cos \pi t/s)\big)^p + a\Big]$$

    Args:
      init_value: α₀, at least 0.
      decay_steps: s, above 0.
      alpha: a, the last value as a fraction of the first, in [0, 1].
      exponent: p, above 0.
      clamp: whether the value stays at the end. Otherwise the wave continues and rises again.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> [round(float(cosine(1.0, 10)(count)), 3) for count in (0, 5, 10, 15)]
    [1.0, 0.5, 0.0, 0.0]
    >>> [round(float(cosine(1.0, 10, clamp=False)(count)), 3) for count in (10, 15, 20)]
    [0.0, 0.5, 1.0]

    Source: Loshchilov and Hutter 2017.
    """
    init_value = number("init_value", init_value, 0)
    decay_steps = number("decay_steps", decay_steps, 0, low_open=True)
    alpha = number("alpha", alpha, 0, 1)
    exponent = number("exponent", exponent, 0, low_open=True)
    clamp = check_flag("clamp", clamp)

    def schedule(count: jax.Array) -> jax.Array:
        wave = half_wave(fraction(count, 0, decay_steps, clamp))
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
    r"""Repeat half cosine waves, each `t_mul` times as long as the one before.

    Within a wave that starts at value $\alpha_0$ and lasts s steps, at its step t:
    $\alpha_0 [(1 - a)\,\tfrac12 (1 + \cos \pi t/s) + a]$.

    Args:
      init_value: first value of the first wave, at least 0.
      first_decay_steps: length of the first wave, above 0.
      t_mul: length of a wave divided by that of the one before, at least 1.
      m_mul: first value of a wave divided by that of the one before, at least 0.
      alpha: a, the last value of a wave as a fraction of its first, in [0, 1].

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> schedule = cosine_restarts(1.0, 10)
    >>> [round(float(schedule(count)), 3) for count in (0, 5, 10, 20, 30)]
    [1.0, 0.5, 1.0, 0.5, 1.0]

    Source: Loshchilov and Hutter 2017 (SGDR).
    """
    init_value = number("init_value", init_value, 0)
    first_decay_steps = number("first_decay_steps", first_decay_steps, 0, low_open=True)
    t_mul = number("t_mul", t_mul, 1)
    m_mul = number("m_mul", m_mul, 0)
    alpha = number("alpha", alpha, 0, 1)

    def schedule(count: jax.Array) -> jax.Array:
        t = jnp.maximum(counted(count), 0)
        # With t_mul = 1 the general formula is 0/0, so it is evaluated at another factor and its
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
        return start * ((1 - alpha) * half_wave(tau) + alpha)

    return schedule
