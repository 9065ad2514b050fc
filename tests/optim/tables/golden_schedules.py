"""Which schedule of ours computes what a peer's computes: data by name, not code.

As in `golden_calls.py`, nothing here knows the id of a case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from golden import look_up, peer

from jaxnn.optim import schedules

# One thing, as each peer writes it.
SPELLINGS = {
    "init": (
        "init init_value initial_learning_rate initial_lr base_lr lr learning_rate peak max_lr "
        "peak_value"
    ),
    "end": "end end_value end_learning_rate final_lr",
    "steps": (
        "decay_steps transition_steps total_steps total_iters num_iters T_max step_size every "
        "first_decay_steps T_0"
    ),
    "begin": "begin transition_begin",
    "rate": "rate decay_rate gamma factor",
    "power": "power exponent",
    "boundaries": "boundaries milestones",
    "t_mul": "t_mul T_mult",
    "min": "eta_min min_lr",
    "start_factor": "start_factor",
    "end_factor": "end_factor",
    **{
        name: name
        for name in (
            *("staircase", "values", "scales", "cycle", "alpha", "m_mul"),
            *("warmup_target", "warmup_steps", "pct_start", "div_factor", "final_div_factor"),
        )
    },
}
CANONICAL = {theirs: ours for ours, names in SPELLINGS.items() for theirs in names.split()}


def _polynomial(init, end, steps, power=1.0, begin=0, cycle=False, **more):
    return schedules.polynomial(init, end, power, steps, begin, cycle=cycle, **more)


def _cosine(init, steps, alpha=0.0, warmup_target=None, warmup_steps=0, **more):
    alpha = more.pop("min") / init if "min" in more else alpha
    if "power" in more:
        more["exponent"] = more.pop("power")
    if not warmup_steps:
        return schedules.cosine(init, steps, alpha, **more)
    after = schedules.cosine(warmup_target, steps, alpha, **more)
    return schedules.warmup(after, warmup_steps, init_value=init)


def _restarts(init, steps, t_mul=2.0, m_mul=1.0, alpha=0.0, **more):
    alpha = more.pop("min") / init if "min" in more else alpha
    return schedules.cosine_restarts(init, steps, t_mul=t_mul, m_mul=m_mul, alpha=alpha, **more)


def _piecewise(boundaries, values=None, init=None, rate=None, scales=None, **more):
    if values is None:
        scales = [rate] * len(boundaries) if scales is None else scales
        values = init * np.cumprod([1.0, *scales])
    return schedules.piecewise_constant(boundaries, list(values), **more)


def _exponential(init, rate, steps=1, **more):
    return schedules.exponential(init, decay_rate=rate, transition_steps=steps, **more)


def _inverse_time(init, rate, steps=1, **more):
    return schedules.inverse_time(init, decay_rate=rate, transition_steps=steps, **more)


def _linear(init, steps, end=None, begin=0, start_factor=None, end_factor=1.0):
    if start_factor is not None:  # PyTorch's, in factors of the rate
        init, end = init * start_factor, init * end_factor
    return schedules.linear(init, end, steps, begin)


FACTORIES: dict[str, Callable[..., Any]] = {
    "constant": lambda init: schedules.constant(init),
    "step": lambda init, steps, rate: schedules.step(init, every=steps, factor=rate),
    "multistep": _piecewise,
    "piecewise_constant": _piecewise,
    "exponential": _exponential,
    "natural_exponential": lambda init, rate: schedules.natural_exponential(init, rate),
    "inverse_time": _inverse_time,
    "polynomial": _polynomial,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_warmup": _cosine,
    "cosine_restarts": _restarts,
    "one_cycle": lambda init, steps, **more: schedules.one_cycle(init, steps, **more),
}
FACTORIES |= {
    "multi_step": _piecewise,
    "exponential_decay": _exponential,
    "inverse_time_decay": _inverse_time,
    "polynomial_decay": _polynomial,
    "cosine_decay": _cosine,
    "cosine_annealing": _cosine,
    "cosine_decay_restarts": _restarts,
    "sgdr": _restarts,
    "cosine_warm_restarts": partial(_restarts, t_mul=1),
    "onecycle": FACTORIES["one_cycle"],
}
# What a peer does without saying so.
HABITS: dict[tuple[str, Callable[..., Any]], dict[str, Any]] = {
    ("keras", _piecewise): {"boundary_belongs_to": "last"},
    ("pytorch", _cosine): {"clamp": False},
    ("burn", _cosine): {"clamp": False},
}
# The words that a case has for a convention.
WORDS = {
    "changes strictly after boundary (step > b)": {"boundary_belongs_to": "last"},
    "changes at boundary (step >= b)": {"boundary_belongs_to": "next"},
}
_PEER_SUFFIX = re.compile(r"_(keras|optax|torch|pytorch|burn|tf|tensorflow)$")


def build_schedule(case: Mapping[str, Any], **changes: Any) -> Any:
    """The schedule of a case, or with `changes` of a convention that it rejects."""
    name = _PEER_SUFFIX.sub("", case["name"])
    factory = look_up(FACTORIES, name, case, f"{case['kind']} {case['name']!r}, as")
    settings = {
        look_up(CANONICAL, theirs, case, "setting"): value
        for theirs, value in case["settings"].items()
    }
    return factory(**(HABITS.get((peer(case), factory), {}) | settings | changes))


def schedule_from_text(text: str, case: Mapping[str, Any]) -> Any:
    """A schedule that a case writes as "exponential(init=0.05,decay_steps=1,rate=0.9)"."""
    match = re.fullmatch(r"(\w+)\((.*)\)", text)
    assert match, f"a schedule that cannot be read: {text!r}"
    pairs = (part.split("=") for part in match[2].split(","))
    settings = {name.strip(): float(value) for name, value in pairs}
    return build_schedule({**case, "name": match[1], "settings": settings})
