"""Valid calls of `jaxnn.optim.schedules`, and of the rule that lowers a rate on a plateau."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from fuzz_argument import is_number
from fuzz_kinds import anything, array, choice, flag, function, integer, knob, numbers
from fuzz_outcome import Row, row
from fuzz_rows_optimizers import updated

from jaxnn import optim

NOT_NEGATIVE, POSITIVE, PART = "[0, inf)", "(0, inf)", "[0, 1]"


def is_whole(other: Any) -> bool:
    """Whether a value is an array of integers, which may be wider than those of JAX."""
    return isinstance(other, np.ndarray) and other.dtype.kind in "iu"


def followed(schedule: Any) -> Any:
    return [schedule(count) for count in (0, 3, jnp.int32(7))]


def _schedules() -> list[Row]:
    init, end, steps = knob(0.1, NOT_NEGATIVE), knob(0.01, NOT_NEGATIVE), knob(10, POSITIVE)
    begin, clamp = knob(0, NOT_NEGATIVE), flag(True)
    schedule = function(optim.schedules.constant(0.1), also=is_number)
    name = "optim.schedules."

    def increasing(other: Any) -> bool:
        return numbers((), NOT_NEGATIVE).takes(other)

    return [
        row(name + "constant", followed, value=knob(0.1)),
        row(name + "step", followed, init_value=init, every=steps, factor=knob(0.5, NOT_NEGATIVE)),
        row(
            name + "exponential",
            followed,
            init_value=init,
            decay_rate=knob(0.9, NOT_NEGATIVE),
            transition_steps=steps,
            staircase=flag(False),
            end_value=knob(0.01, none=True),
        ),
        row(name + "natural_exponential", followed, init_value=init, k=knob(0.1, NOT_NEGATIVE)),
        row(
            name + "inverse_time",
            followed,
            init_value=init,
            decay_rate=knob(0.1, NOT_NEGATIVE),
            transition_steps=steps,
            staircase=flag(False),
        ),
        row(
            name + "power",
            followed,
            init_value=init,
            transition_steps=steps,
            power=knob(0.5, NOT_NEGATIVE),
        ),
        row(
            name + "linear",
            followed,
            init_value=init,
            end_value=end,
            transition_steps=steps,
            transition_begin=begin,
            clamp=clamp,
        ),
        row(
            name + "polynomial",
            followed,
            init_value=init,
            end_value=end,
            power=knob(2.0, POSITIVE),
            transition_steps=steps,
            transition_begin=begin,
            clamp=clamp,
        ),
        row(
            name + "cosine",
            followed,
            init_value=init,
            decay_steps=steps,
            alpha=knob(0.1, PART),
            exponent=knob(1.0, POSITIVE),
            clamp=clamp,
        ),
        row(
            name + "cosine_restarts",
            followed,
            init_value=init,
            first_decay_steps=steps,
            t_mul=knob(2.0, "[1, inf)"),
            m_mul=knob(1.0, NOT_NEGATIVE),
            alpha=knob(0.1, PART),
        ),
        row(
            name + "cyclic",
            followed,
            init_value=init,
            peak_value=knob(0.3, NOT_NEGATIVE),
            steps_up=steps,
            steps_down=knob(5, POSITIVE, none=True),
            mode=choice("triangular", "triangular2", "exp_range"),
            gamma=anything(None, lambda o: o is None),
        ),
        row(
            name + "one_cycle",
            followed,
            peak_value=init,
            transition_steps=steps,
            pct_start=knob(0.3, PART),
            div_factor=knob(25.0, POSITIVE),
            final_div_factor=knob(1e4, POSITIVE),
            clamp=clamp,
        ),
        row(
            name + "piecewise_constant",
            followed,
            boundaries=anything([3, 6], increasing, loose=True),
            values=anything([0.1, 0.2, 0.3], numbers(()).takes, loose=True),
            boundary_belongs_to=choice("next", "last"),
        ),
        row(
            name + "join",
            followed,
            boundaries=anything([3], increasing, loose=True),
            schedules=anything(
                [optim.schedules.constant(0.1), optim.schedules.constant(0.2)],
                lambda o: isinstance(o, (list, tuple)) and bool(o) and all(map(is_number, o)),
                loose=True,
            ),
        ),
        row(
            name + "warmup",
            followed,
            schedule=schedule,
            steps=knob(3, NOT_NEGATIVE),
            init_value=knob(0.0, NOT_NEGATIVE),
        ),
        row(name + "in_epochs", followed, schedule=schedule, steps_per_epoch=integer(5)),
        Row(
            name + "cosine:count",
            {"count": array(3, also=lambda o: is_number(o) or is_whole(o))},
            lambda count: optim.schedules.cosine(0.1, 10)(count),
        ),
    ]


def _plateaus() -> list[Row]:
    rule = {
        "factor": knob(0.5, PART),
        "patience": integer(2, 0, 2**31 - 2, huge=True),
        "mode": choice("min", "max"),
        "rtol": knob(0.1, NOT_NEGATIVE, vanishes=False),
        "atol": knob(0.0, NOT_NEGATIVE, vanishes=False),
        "cooldown": integer(1, 0, 2**31 - 2, huge=True),
        "min_scale": knob(0.1, NOT_NEGATIVE, vanishes=False),
        "accumulation_size": integer(1, 1, 2**31 - 2, huge=True),
        "counting": choice("optax", "pytorch", "keras"),
    }

    def watched(made: Any) -> Any:
        return made.update(made.init(), jnp.float32(1)).scale

    return [
        row("optim.plateau_rule", watched, **rule),
        row("optim.reduce_on_plateau", updated, **rule),
    ]


def rows() -> list[Row]:
    return [*_schedules(), *_plateaus()]
