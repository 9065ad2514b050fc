"""The table of schedules: what is called, its constants, the formula in NumPy, and the twin.

A formula is a function of an integer array and the constants by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import optax
import pytest

from jaxnn.optim import schedules

POSITIVE, NOT_NEGATIVE, PART, FROM_1 = "(0, inf)", "[0, inf)", "[0, 1]", "[1, inf)"


@dataclass(frozen=True)
class Constant:
    """A value at which no whole step is an edge, others for `vmap`, and what is refused."""

    value: float
    sweep: tuple[float, ...]
    bad: tuple[float, ...] = (-1.0,)
    allowed: str = NOT_NEGATIVE
    called: str | None = None  # its name in the error


@dataclass(frozen=True)
class Row:
    name: str
    factory: Callable[..., Any]
    constants: dict[str, Constant]
    numpy: Callable[..., np.ndarray]
    optax: Callable[..., Any] | None = None
    covers: tuple[str, ...] = ()

    @property
    def values(self):
        return {name: constant.value for name, constant in self.constants.items()}


INIT = Constant(0.3, (0.1, 1.0, 2.0))
END = Constant(0.05, (0.0, 0.2, 0.5))
STEPS = Constant(100.3, (17.0, 60.0, 250.5), bad=(0.0, -5.0), allowed=POSITIVE)
BEGIN = Constant(20.2, (0.0, 10.0, 33.3))
RATE = Constant(0.6, (0.1, 0.96, 1.5))
POWER = Constant(1.7, (0.5, 1.0, 3.0), bad=(0.0, -1.0), allowed=POSITIVE)
ALPHA = Constant(0.1, (0.0, 0.5, 1.0), bad=(-0.1, 1.5), allowed=PART)
NO_RANGE = {"bad": (np.nan,), "allowed": "(-inf, inf)"}


def tau(t, begin, steps, clamp):
    done = np.maximum((t - begin) / steps, 0)
    return np.minimum(done, 1) if clamp else done


def exponential(
    t,
    init_value,
    decay_rate,
    transition_steps,
    transition_begin=0,
    staircase=False,
    end_value=None,
):
    exponent = np.maximum(t - transition_begin, 0) / transition_steps
    value = init_value * decay_rate ** (np.floor(exponent) if staircase else exponent)
    if end_value is None:
        return value
    return np.maximum(value, end_value) if decay_rate < 1 else np.minimum(value, end_value)


def inverse_time(t, init_value, decay_rate, transition_steps, staircase=False):
    s = t / transition_steps
    return init_value / (1 + decay_rate * (np.floor(s) if staircase else s))


def pieces(t, b_0, b_1, v_0, v_1, v_2, closed="next"):
    past = (lambda b: t >= b) if closed == "next" else (lambda b: t > b)
    return np.where(past(b_1), v_2, np.where(past(b_0), v_1, v_0))


def polynomial(t, init_value, end_value, power, transition_steps, transition_begin, clamp=True):
    left = 1 - tau(t, transition_begin, transition_steps, clamp)
    return end_value + (init_value - end_value) * np.sign(left) * np.abs(left) ** power


def cycled(t, init_value, end_value, power, transition_steps, transition_begin):
    passed = t - transition_begin
    span = transition_steps * np.maximum(np.ceil(passed / transition_steps), 1)
    return polynomial(t, init_value, end_value, power, span, transition_begin)


def cyclic(t, init_value, peak_value, steps_up, steps_down=None, gamma=1.0, halved=False):
    """As PyTorch computes it."""
    total = steps_up + (steps_up if steps_down is None else steps_down)
    cycle = np.floor(1 + t / total)
    x, ratio = 1 + t / total - cycle, steps_up / total
    height = np.where(x <= ratio, x / ratio, (x - 1) / (ratio - 1))
    scale = 0.5 ** (cycle - 1) if halved else gamma**t
    return init_value + (peak_value - init_value) * height * scale


def linear(t, init_value, end_value, transition_steps, transition_begin, clamp=True):
    return polynomial(t, init_value, end_value, 1.0, transition_steps, transition_begin, clamp)


def cosine(t, init_value, decay_steps, alpha, exponent, clamp=True):
    wave = 0.5 * (1 + np.cos(np.pi * tau(t, 0, decay_steps, clamp)))
    return init_value * ((1 - alpha) * wave**exponent + alpha)


def cosine_restarts(t, init_value, first_decay_steps, t_mul, m_mul, alpha):
    """Wave by wave, as one would draw them."""
    values, begin, length, start = np.full(t.shape, np.nan), 0.0, first_decay_steps, init_value
    while begin <= t.max():
        inside = (t >= begin) & (t < begin + length)
        wave = 0.5 * (1 + np.cos(np.pi * (t - begin) / length))
        values = np.where(inside, start * ((1 - alpha) * wave + alpha), values)
        begin, length, start = begin + length, length * t_mul, start * m_mul
    return values


def one_cycle(
    t,
    peak_value,
    transition_steps,
    pct_start,
    div_factor,
    final_div_factor,
    clamp=True,
    shape="cos",
    early=0,
    three_phase=False,
):
    top, last = pct_start * transition_steps - early, transition_steps - early
    low = peak_value / div_factor
    end = low / final_div_factor

    def way(first, second, begin, stop, clamp=True):
        done = tau(t, begin, stop - begin, clamp)
        return first + (second - first) * (
            0.5 * (1 - np.cos(np.pi * done)) if shape == "cos" else done
        )

    up = way(low, peak_value, 0, top)
    if not three_phase:
        return np.where(t < top, up, way(peak_value, end, top, last, clamp))
    down = np.where(
        t < 2 * top, way(peak_value, low, top, 2 * top), way(low, end, 2 * top, last, clamp)
    )
    return np.where(t < top, up, down)


# Each constant by a name of its own, where the schedule takes them in lists.
def piecewise(b_0, b_1, v_0, v_1, v_2, **more):
    return schedules.piecewise_constant([b_0, b_1], [v_0, v_1, v_2], **more)


def joined(b_0, b_1, init_value, k):
    later = schedules.natural_exponential(init_value, k), schedules.constant(init_value)
    return schedules.join([schedules.linear(init_value, 0.0, 40), *later], [b_0, b_1])


def numpy_joined(t, b_0, b_1, init_value, k):
    falling = init_value * np.exp(-k * (t - b_0))
    line = init_value * (1 - np.minimum(t / 40, 1))
    return np.where(t >= b_1, init_value, np.where(t >= b_0, falling, line))


def optax_joined(b_0, b_1, init_value, k):
    parts = (
        optax.linear_schedule(init_value, 0.0, 40),
        lambda t: init_value * np.e ** (-k * t),
        optax.constant_schedule(init_value),
    )
    return optax.join_schedules(parts, [b_0, b_1])


def warmed(steps, init_value, target, k):
    return schedules.warmup(schedules.natural_exponential(target, k), steps, init_value=init_value)


def numpy_warmed(t, steps, init_value, target, k):
    line = init_value + (target - init_value) * np.minimum(t / steps, 1)
    return np.where(t < steps, line, target * np.exp(-k * (t - steps)))


def optax_warmed(steps, init_value, target, k):
    parts = (
        optax.linear_schedule(init_value, target, steps),
        lambda t: target * np.e ** (-k * t),
    )
    return optax.join_schedules(parts, [steps])


def in_epochs(init_value, decay_rate, transition_steps):
    schedule = schedules.inverse_time(
        init_value, decay_rate=decay_rate, transition_steps=transition_steps
    )
    return schedules.in_epochs(schedule, 17)


RAMP = {"init_value": INIT, "end_value": END}
SPAN = {"transition_steps": STEPS, "transition_begin": BEGIN}
DECAY = {"init_value": INIT, "decay_rate": RATE, "transition_steps": STEPS}
COSINE = {"init_value": INIT, "decay_steps": STEPS, "alpha": ALPHA, "exponent": POWER}
EDGE = {"bad": (np.nan,), "allowed": "(-inf, inf)", "called": "boundaries"}
PIECE = {"bad": (np.nan,), "allowed": "(-inf, inf)", "called": "values"}
PIECES = {
    "b_0": Constant(60.5, (1.0, 30.0, 99.5), **EDGE),
    "b_1": Constant(200.5, (100.0, 150.0, 300.0), **EDGE),
    "v_0": Constant(1.0, (0.0, 0.5, 2.0), **PIECE),
    "v_1": Constant(0.3, (0.1, 0.2, -1.0), **PIECE),
    "v_2": Constant(0.1, (0.0, 0.01, 3.0), **PIECE),
}
RESTARTS = {
    "init_value": INIT,
    # No whole step is a restart: there rounding would say which wave it is of.
    "first_decay_steps": Constant(100.3, (17.1, 61.3, 250.5), bad=(0.0, -5.0), allowed=POSITIVE),
    "t_mul": Constant(1.6, (1.0, 2.0, 3.0), bad=(0.5, 0.0), allowed=FROM_1),
    "m_mul": Constant(0.7, (0.3, 1.0, 1.5)),
    "alpha": ALPHA,
}
CYCLE = {
    "peak_value": INIT,
    "transition_steps": STEPS,
    "pct_start": Constant(0.31, (0.1, 0.5, 0.9), bad=(0.0, 1.0, 2.0), allowed="(0, 1)"),
    "div_factor": Constant(25.0, (1.0, 5.0, 100.0), bad=(0.5,), allowed=FROM_1),
    "final_div_factor": Constant(50.0, (1.0, 5.0, 1e4), bad=(0.5,), allowed=FROM_1),
}
TRIANGLE = {
    "init_value": END,
    "peak_value": INIT,
    "steps_up": Constant(20.37, (7.1, 33.3, 100.7), bad=(0.0, -1.0), allowed=POSITIVE),
}
PHASES = {**CYCLE, "pct_start": Constant(0.31, (0.1, 0.2, 0.4), bad=(0.0, 0.6), allowed="(0, 0.5]")}
K = Constant(0.013, (0.0, 0.001, 0.1))


def both(name, factory, constants, formula, twin=None):
    """A schedule that ends, and the same without its end; peers clamp, or Optax at least."""
    return [
        Row(name, factory, constants, formula, twin, covers=(name,)),
        Row(
            f"{name}_unclamped",
            partial(factory, clamp=False),
            constants,
            partial(formula, clamp=False),
        ),
    ]


TABLE = [
    Row(
        "constant",
        schedules.constant,
        {"value": Constant(0.125, (0.0, -1.0, 3.0), **NO_RANGE)},
        lambda t, value: np.full(t.shape, value),
        optax.constant_schedule,
    ),
    Row(
        "step",
        schedules.step,
        {"init_value": INIT, "every": STEPS, "factor": RATE},
        lambda t, init_value, every, factor: init_value * factor ** np.floor(t / every),
        lambda init_value, every, factor: optax.exponential_decay(
            init_value, every, factor, staircase=True
        ),
    ),
    Row("exponential", schedules.exponential, DECAY, exponential, optax.exponential_decay),
    Row(
        "exponential_staircase",
        partial(schedules.exponential, staircase=True),
        DECAY,
        partial(exponential, staircase=True),
        partial(optax.exponential_decay, staircase=True),
    ),
    Row(
        "exponential_with_end",
        schedules.exponential,
        {**DECAY, "end_value": Constant(0.1, (0.01, 0.2, 0.5))},
        exponential,
        optax.exponential_decay,
        covers=("exponential",),
    ),
    Row(
        "natural_exponential",
        schedules.natural_exponential,
        {"init_value": INIT, "k": K},
        lambda t, init_value, k: init_value * np.exp(-k * t),
    ),
    Row(
        "exponential_begun",
        schedules.exponential,
        {**DECAY, "transition_begin": BEGIN},
        exponential,
        optax.exponential_decay,
        covers=("exponential",),
    ),
    Row(
        "polynomial_cycled",
        partial(schedules.polynomial, cycle=True),
        # No whole step is near the end of a cycle, where the power bends.
        {**RAMP, "power": POWER, **SPAN, "transition_steps": replace(STEPS, value=98.55)},
        cycled,
    ),
    Row("cyclic", schedules.cyclic, TRIANGLE, cyclic),
    Row(
        "cyclic_skewed_and_halved",
        partial(schedules.cyclic, mode="triangular2"),
        {**TRIANGLE, "steps_down": replace(TRIANGLE["steps_up"], value=40.91)},
        partial(cyclic, halved=True),
        covers=("cyclic",),
    ),
    Row(
        "cyclic_decaying",
        partial(schedules.cyclic, mode="exp_range"),
        {**TRIANGLE, "gamma": Constant(0.99, (0.9, 0.999, 1.0), bad=(-0.1, 1.5), allowed=PART)},
        cyclic,
        covers=("cyclic",),
    ),
    Row(
        "one_cycle_of_pytorch",
        partial(schedules.one_cycle, counting="pytorch", anneal_strategy="linear"),
        CYCLE,
        partial(one_cycle, early=1, shape="linear"),
    ),
    Row(
        "one_cycle_in_three_phases",
        partial(schedules.one_cycle, counting="pytorch", three_phase=True),
        PHASES,
        partial(one_cycle, early=1, three_phase=True),
    ),
    Row("inverse_time", schedules.inverse_time, DECAY, inverse_time),
    Row(
        "inverse_time_staircase",
        partial(schedules.inverse_time, staircase=True),
        DECAY,
        partial(inverse_time, staircase=True),
    ),
    Row(
        "power",
        schedules.power,
        {"init_value": INIT, "transition_steps": STEPS, "power": Constant(1.7, (0.0, 0.5, 2.0))},
        lambda t, init_value, transition_steps, power: (
            init_value / (1 + t / transition_steps) ** power
        ),
    ),
    Row(
        "piecewise_constant",
        piecewise,
        PIECES,
        pieces,
        lambda b_0, b_1, v_0, v_1, v_2: optax.join_schedules(
            [optax.constant_schedule(v) for v in (v_0, v_1, v_2)], [b_0, b_1]
        ),
    ),
    Row(
        "piecewise_constant_of_keras",
        partial(piecewise, boundary_belongs_to="last"),
        PIECES,
        partial(pieces, closed="last"),
    ),
    *both("linear", schedules.linear, {**RAMP, **SPAN}, linear, optax.linear_schedule),
    *both(
        "polynomial",
        schedules.polynomial,
        {**RAMP, "power": POWER, **SPAN},
        polynomial,
        optax.polynomial_schedule,
    ),
    *both("cosine", schedules.cosine, COSINE, cosine, optax.cosine_decay_schedule),
    Row("cosine_restarts", schedules.cosine_restarts, RESTARTS, cosine_restarts),
    *both("one_cycle", schedules.one_cycle, CYCLE, one_cycle),
    Row(
        "join",
        joined,
        {"b_0": PIECES["b_0"], "b_1": PIECES["b_1"], "init_value": INIT, "k": K},
        numpy_joined,
        optax_joined,
    ),
    Row(
        "warmup",
        warmed,
        {
            "steps": STEPS,
            "init_value": END,
            "target": Constant(0.4, (0.1, 1.0, 2.0), called="init_value"),
            "k": K,
        },
        numpy_warmed,
        optax_warmed,
    ),
    Row(
        "in_epochs",
        in_epochs,
        {**DECAY, "transition_steps": Constant(5.7, (1.0, 3.0, 20.0), (0.0,), POSITIVE)},
        lambda t, **constants: inverse_time(t / 17, **constants),
    ),
]


def rows(chosen=lambda row: True):
    found = [row for row in TABLE if chosen(row)]
    return pytest.mark.parametrize("row", found, ids=lambda row: row.name)


EVERY_ROW = rows()
