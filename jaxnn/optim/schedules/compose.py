"""Schedules made of other schedules: in epochs, one after the other, with a warm-up."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_positive_int, check_sequence
from jaxnn.optim.knobs import Schedule, check_schedule, counted, number
from jaxnn.optim.schedules.decays import completed
from jaxnn.optim.schedules.pieces import in_order

__all__ = ["in_epochs", "join", "warmup"]

Number = float | jax.Array


def in_epochs(schedule: Schedule, steps_per_epoch: int, *, whole: bool = False) -> Schedule:
    r"""Turn a schedule that counts epochs into one that counts steps, $t \mapsto s(t / n)$.

    Args:
      schedule: a function of the epoch, which may be fractional: step 5 of 10 in the third
        epoch is epoch 2.5.
      steps_per_epoch: n, such as `data.steps_per_epoch(batch_size)`.
      whole: whether an epoch has one value, that of its first step, as with the callback
        `LearningRateScheduler` of Keras and a scheduler of PyTorch stepped once an epoch.

    Returns:
      A schedule of the step.

    Raises:
      ValueError: `steps_per_epoch` is not a positive integer.
      TypeError: `schedule` is no function.

    >>> from jaxnn.optim.schedules import step
    >>> schedule = in_epochs(step(1.0, every=5, factor=0.5), steps_per_epoch=17)
    >>> [float(schedule(count)) for count in (0, 5 * 17 - 1, 5 * 17)]
    [1.0, 1.0, 0.5]

    Source: lecture N, which counts in epochs; lecture M, which has one value per epoch.
    """
    check_schedule("schedule", schedule)
    n = float(check_positive_int("steps_per_epoch", steps_per_epoch))
    whole = check_flag("whole", whole)

    def by_step(count: jax.Array) -> jax.Array:
        t = counted(count)
        epoch = completed(t, n)  # exact, so that an epoch begins at its first step
        return schedule(epoch if whole else epoch + (t - epoch * n) / n)

    return by_step


def join(schedules: Sequence[Schedule], boundaries: Sequence[Number]) -> Schedule:
    r"""Run one schedule after the other, each counting from 0.

    $$\alpha_t = s_i(t - b_{i-1}) \quad\text{for}\quad b_{i-1} \le t < b_i$$

    Args:
      schedules: the schedules, in their order.
      boundaries: $b_i$, the steps at which the second and every later schedule begins, in
        rising order; they may be traced scalars.

    Returns:
      A schedule.

    Raises:
      TypeError: what is no schedule, or no list of them.
      ValueError: the boundaries do not rise, or are not one fewer than the schedules.

    >>> from jaxnn.optim.schedules import constant, linear
    >>> schedule = join([linear(0.0, 1.0, 10), constant(1.0), linear(1.0, 0.0, 10)], [10, 20])
    >>> [float(schedule(count)) for count in (5, 15, 25)]
    [0.5, 1.0, 0.5]
    """
    boundaries = in_order("boundaries", boundaries)
    schedules = check_sequence("schedules", schedules)
    for part in schedules:
        check_schedule("each of schedules", part)
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"schedules must be one more than the {len(boundaries)} boundaries, "
            f"got {len(schedules)}"
        )

    def schedule(count: jax.Array) -> jax.Array:
        t = counted(count)
        value = schedules[0](t)
        for boundary, later in zip(boundaries, schedules[1:], strict=True):
            # A schedule that is not selected yet is evaluated at 0: at a negative count its
            # gradient could be NaN, and would spoil the gradient of the selected one.
            value = jnp.where(t < boundary, value, later(jnp.maximum(t - boundary, 0)))
        return value

    return schedule


def warmup(schedule: Schedule, steps: Number, *, init_value: Number = 0.0) -> Schedule:
    r"""Prepend a linear warm-up that ends at the first value of a schedule.

    The schedule starts to count when the warm-up is over, as in Keras. (The steps of Optax'
    `warmup_cosine_decay_schedule` include its warm-up.)

    Args:
      schedule: the schedule after the warm-up.
      steps: number of steps of the warm-up, above 0.
      init_value: the first value of the warm-up, at least 0.

    Each float may be a traced scalar.

    Returns:
      A schedule.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> from jaxnn.optim.schedules import cosine
    >>> schedule = warmup(cosine(1.0, 10), 4)
    >>> [float(schedule(count)) for count in (0, 2, 4, 9)]
    [0.0, 0.5, 1.0, 0.5]

    Source: Goyal et al. 2017.
    """
    check_schedule("schedule", schedule)
    steps = number("steps", steps, 0, low_open=True)
    init_value = number("init_value", init_value, 0)

    def rising(count: jax.Array) -> jax.Array:
        target = schedule(jnp.zeros_like(count))
        return init_value + (target - init_value) * jnp.minimum(count / steps, 1)

    return join([rising, schedule], [steps])
