"""Schedules: pure functions of the step count that return a knob's value.

A schedule is written in the unit of its argument. `in_epochs` turns one that counts epochs
into one that counts steps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.optim.rate import Schedule

__all__ = ["constant", "in_epochs", "step"]


def constant(value: float | jax.Array) -> Schedule:
    r"""The same value at every step, $\alpha_t = \alpha_0$.

    Args:
      value: α₀; a float or a traced scalar.

    Returns:
      A schedule.

    >>> constant(0.1)(jnp.int32(7))
    Array(0.1, dtype=float32)
    """
    check_knob("value", value)

    def schedule(count: jax.Array) -> jax.Array:
        del count
        return jnp.asarray(value, float)

    return schedule


def step(
    init_value: float | jax.Array, *, every: float | jax.Array, factor: float | jax.Array = 0.5
) -> Schedule:
    r"""Step decay, $\alpha_t = \alpha_0\, f^{\lfloor t / n \rfloor}$.

    Args:
      init_value: α₀, at least 0.
      every: n, above 0: the number of steps between two drops, or of epochs under
        `in_epochs`. The drop belongs to the step that completes the interval.
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

    def schedule(count: jax.Array) -> jax.Array:
        drops = jnp.floor(jnp.asarray(count, float) / every)
        return jnp.asarray(init_value, float) * jnp.asarray(factor, float) ** drops

    return schedule


def in_epochs(schedule: Schedule, steps_per_epoch: int) -> Schedule:
    r"""A schedule that counts epochs, as one that counts steps: $t \mapsto s(t / n)$.

    Args:
      schedule: a function of the epoch, which need not be whole: step 5 of 10 in the
        third epoch is 2.5.
      steps_per_epoch: n, such as `data.steps_per_epoch(batch_size)`.

    Returns:
      A schedule of the step.

    Raises:
      ValueError: `steps_per_epoch` is not a positive integer.

    >>> schedule = in_epochs(step(1.0, every=5, factor=0.5), steps_per_epoch=17)
    >>> [float(schedule(count)) for count in (0, 5 * 17 - 1, 5 * 17)]
    [1.0, 1.0, 0.5]

    Source: lecture N, which counts in epochs.
    """
    steps_per_epoch = check_positive_int("steps_per_epoch", steps_per_epoch)
    return lambda count: schedule(jnp.asarray(count, float) / steps_per_epoch)
