"""What a row of the table of optimizers is, and what knobs may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import optax


@dataclass(frozen=True)
class Knob:
    """One hyper-parameter: its value in the suite, and the edges of what it may be."""

    value: float
    sweep: tuple[float, ...]  # an axis of vmap
    bad: tuple[float, ...]  # refused when concrete
    allowed: str  # the range as the error prints it
    scheduled: bool = True  # whether it takes a schedule, or only a number


NOT_NEGATIVE, PART, BELOW_1 = "[0, inf)", "[0, 1]", "[0, 1)"
RATE = Knob(0.05, sweep=(0.0, 0.01, 0.3), bad=(-1e-9, -1.0), allowed=NOT_NEGATIVE)
DECAY = Knob(0.9, sweep=(0.0, 0.5, 0.99, 1.0), bad=(-0.1, 1.1, 2.0), allowed=PART)
EVERY = Knob(3.0, (1.0, 2.5, 7.0), bad=(0.0, -3.0), allowed="(0, inf)", scheduled=False)
FACTOR = Knob(0.5, (0.0, 0.5, 0.9), bad=(-0.5,), allowed=NOT_NEGATIVE, scheduled=False)
EPS = Knob(1e-8, sweep=(1e-6, 1e-3, 1.0), bad=(-1e-8,), allowed=NOT_NEGATIVE)
EPS_ROOT = Knob(0.0, sweep=(0.0, 1e-4, 1.0), bad=(-1e-8,), allowed=NOT_NEGATIVE)
START = Knob(0.1, (0.01, 0.5, 1.0), bad=(-0.1,), allowed=NOT_NEGATIVE, scheduled=False)
BETA = {"bad": (-0.1, 1.0, 2.0), "allowed": BELOW_1}
ADAM = {
    "b1": Knob(0.9, sweep=(0.0, 0.5, 0.99), **BETA),
    "b2": Knob(0.999, sweep=(0.0, 0.9, 0.9999), **BETA),
    "eps": replace(EPS, sweep=(1e-8, 1e-3, 1.0)),
    "eps_root": EPS_ROOT,
}
BOUND = Knob(0.7, sweep=(0.1, 0.5, 2.0), bad=(0.0, -1.0), allowed="(0, inf)")
WEIGHT_DECAY = Knob(0.02, (0.0, 0.1, 0.5), bad=(-1e-3,), allowed=NOT_NEGATIVE)
STRENGTH = Knob(0.1, (0.0, 0.5, 2.0), bad=(-1e-3,), allowed=NOT_NEGATIVE)
WEIGHT_DECAY_ALONE = replace(WEIGHT_DECAY, bad=(-1e-3, 1.5), allowed=PART)
MULTIPLIER = Knob(0.98, sweep=(0.5, 0.9, 1.0), bad=(-0.1, 1.1), allowed=PART)

SGD = {"learning_rate": RATE}
MOMENTUM = {**SGD, "decay": DECAY}
SLOW = {"learning_rate": 0.01}
ADAGRAD = {**SGD, "initial_accumulator_value": START, "eps": replace(EPS, value=1e-7)}
# At 0 a variance is 0 except for rounding, and at 1 a mean square keeps its first value: both
# would divide the step by next to nothing.
BELOW = replace(DECAY, sweep=(0.3, 0.5, 0.99))
RMS = {**SGD, "decay": BELOW, "eps": EPS, "initial_scale": START}
RMS_MOMENTUM = {**RMS, "momentum": replace(DECAY, value=0.5, sweep=(0.0, 0.5, 0.9))}
WHOLE_ADAM = {**SGD, **ADAM}
# Away from 0, so that an ε inside the root and one outside give different numbers.
APART = {**WHOLE_ADAM, "eps": replace(ADAM["eps"], value=1e-2)}
SCHEDULE = {"init_value": replace(RATE, scheduled=False), "every": EVERY, "factor": FACTOR}
UNTIL_300 = {"every": 300.0}


NUMBER = {"scheduled": False}
ADAMAX = {**SGD, **{name: ADAM[name] for name in ("b1", "b2", "eps")}}
ADADELTA = {
    **SGD,
    "rho": BELOW,
    "eps": replace(EPS, value=1e-4, sweep=(1e-6, 1e-3, 1e-1)),
}
THRESHOLD = Knob(5.0, (4.5, 6.0, 50.0), bad=(4.0, -1.0), allowed="(4, inf)", scheduled=False)
RADAM = {**APART, "threshold": THRESHOLD}
LION = {
    **SGD,
    "b1": replace(DECAY, sweep=(0.0, 0.5, 0.99)),
    "b2": replace(DECAY, value=0.99, sweep=(0.0, 0.5, 0.9)),
    "weight_decay": WEIGHT_DECAY,
}
PLATEAU = {
    **SGD,
    "factor": Knob(0.5, (0.1, 0.5, 0.9), bad=(-0.1, 2.0), allowed="[0, 1]", **NUMBER),
    "rtol": Knob(1e-3, (0.0, 0.2, 0.5), bad=(-0.1,), allowed="[0, inf)", **NUMBER),
    "atol": Knob(0.0, (0.0, 0.1, 0.5), bad=(-0.1,), allowed="[0, inf)", **NUMBER),
    "min_scale": Knob(0.0, (0.0, 0.3, 0.9), bad=(-0.1,), allowed="[0, inf)", **NUMBER),
}

Formula = Callable[..., Iterator[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Row:
    """One optimizer, one form of it, or one with a schedule in it."""

    name: str
    factory: Callable[..., optax.GradientTransformation]  # called with the knobs by name
    knobs: dict[str, Knob]
    numpy: Formula  # (params, gradient, **knobs): the params after each update
    optax: Callable[..., Any] | None = None  # None: Optax has no twin
    quadratic: dict[str, float] | None = field(default_factory=dict)  # None: it does not descend
    bias: dict[str, float] = field(default_factory=dict)  # knobs, as they are for a bias
    coupled: bool = False  # whether the update of a leaf depends on other leaves
    covers: tuple[str, ...] = ()  # names of jaxnn.optim that the row tests, besides its own
    extra: dict[str, Any] = field(default_factory=dict)  # keyword arguments that its update needs

    @property
    def values(self) -> dict[str, float]:
        return {name: knob.value for name, knob in self.knobs.items()}

    @property
    def rate(self) -> str | None:
        """The knob that `rate_scale` multiplies."""
        return next((name for name in ("learning_rate", "init_value") if name in self.knobs), None)

    @property
    def in_half(self) -> dict[str, float]:
        """Values that float16 holds; an ε of 1e-8 vanishes there, and is refused."""
        small = ("eps", "eps_root")
        return self.values | {k: max(v, 1e-3) for k, v in self.values.items() if k in small and v}

    def make(self, **changes: Any) -> optax.GradientTransformation:
        return self.factory(**(self.values | changes))

    def update(self, tx: Any, g: Any, state: Any, params: Any, **extra: Any) -> Any:
        return optax.with_extra_args_support(tx).update(g, state, params, **self.extra, **extra)


def with_fixed(formula: Formula, **fixed: Any) -> Formula:
    return partial(formula, **fixed)
