"""The table of optimizers. A row gets the whole contract suite, `test_optimizer_*.py`.

A row holds what is called, the knobs with what they may be, the transformation of Optax
that is the same thing, and the lecture's formulas written out in NumPy. Nothing else in
the suite names an optimizer, but for the golden numbers and what only one of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optax
import pytest

from jaxnn import optim


@dataclass(frozen=True)
class Knob:
    """One hyper-parameter: its value in the suite, and the edges of what it may be."""

    value: float
    sweep: tuple[float, ...]  # an axis of vmap
    bad: tuple[float, ...]  # refused when concrete
    allowed: str  # the range as the error prints it


RATE = Knob(0.05, sweep=(0.0, 0.01, 0.3), bad=(-1e-9, -1.0), allowed="[0, inf)")
DECAY = Knob(0.9, sweep=(0.0, 0.5, 0.99, 1.0), bad=(-0.1, 1.1), allowed="[0, 1]")
EVERY = Knob(3.0, sweep=(1.0, 2.5, 7.0), bad=(0.0, -3.0), allowed="(0, inf)")
FACTOR = Knob(0.5, sweep=(0.0, 0.5, 0.9), bad=(-0.5,), allowed="[0, inf)")
ADAM = {
    "b1": Knob(0.9, sweep=(0.0, 0.5, 0.99), bad=(-0.1, 1.0, 2.0), allowed="[0, 1)"),
    "b2": Knob(0.999, sweep=(0.0, 0.9, 0.9999), bad=(-0.1, 1.0, 2.0), allowed="[0, 1)"),
    "eps": Knob(1e-8, sweep=(1e-8, 1e-3, 1.0), bad=(-1e-8,), allowed="[0, inf)"),
    "eps_root": Knob(0.0, sweep=(0.0, 1e-4, 1.0), bad=(-1e-8,), allowed="[0, inf)"),
}

Trajectory = Iterator[np.ndarray]


@dataclass(frozen=True)
class Row:
    """One optimizer, or one with a schedule in it."""

    name: str
    factory: Callable[..., optax.GradientTransformation]  # called with the knobs by name
    knobs: dict[str, Knob]
    numpy: Callable[..., Trajectory]  # (params, grads, **knobs): the params after each update
    optax: Callable[..., optax.GradientTransformation] | None  # None: Optax has no such thing
    quadratic: dict[str, float] = field(default_factory=dict)  # knobs that suit the quadratic

    @property
    def values(self) -> dict[str, float]:
        return {name: knob.value for name, knob in self.knobs.items()}

    def make(self, **changes: Any) -> optax.GradientTransformation:
        return self.factory(**(self.values | changes))


def _sgd(params, grads, learning_rate) -> Trajectory:
    for g in grads:
        params = params - learning_rate * g
        yield params


def _momentum(params, grads, learning_rate, decay) -> Trajectory:
    rho = np.zeros_like(params)
    for g in grads:
        rho = decay * rho + g
        params = params - learning_rate * rho
        yield params


def _adam(params, grads, learning_rate, b1, b2, eps, eps_root) -> Trajectory:
    """`learning_rate` is a number or a function of the count of updates before this one."""
    m, v = np.zeros_like(params), np.zeros_like(params)
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        rate = learning_rate(t - 1) if callable(learning_rate) else learning_rate
        params = params - rate * m_hat / (np.sqrt(v_hat + eps_root) + eps)
        yield params


# Each knob by name, since inject_hyperparams reads the signature.
def adam_with_step(init_value, every, factor, b1, b2, eps, eps_root):
    schedule = optim.schedules.step(init_value, every=every, factor=factor)
    return optim.adam(schedule, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def _optax_adam_with_step(init_value, every, factor, **knobs):
    schedule = optax.exponential_decay(init_value, every, factor, staircase=True)
    return optax.adam(schedule, **knobs)


def _adam_with_step(params, grads, init_value, every, factor, **knobs) -> Trajectory:
    return _adam(params, grads, lambda t: init_value * factor ** (t // every), **knobs)


TABLE = [
    Row("sgd", optim.sgd, {"learning_rate": RATE}, _sgd, optax.sgd),
    Row(
        "momentum",
        optim.momentum,
        {"learning_rate": RATE, "decay": DECAY},
        _momentum,
        lambda learning_rate, decay: optax.sgd(learning_rate, momentum=decay),
        quadratic={"learning_rate": 0.01},
    ),
    Row(
        "adam",
        optim.adam,
        {"learning_rate": RATE, **ADAM},
        _adam,
        optax.adam,
        quadratic={"learning_rate": 0.01},
    ),
    Row(
        "adam_with_step",
        adam_with_step,
        {"init_value": RATE, "every": EVERY, "factor": FACTOR, **ADAM},
        _adam_with_step,
        _optax_adam_with_step,
        quadratic={"every": 300.0},
    ),
]

EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
EVERY_ROW_WITH_TWIN = pytest.mark.parametrize(
    "row", [row for row in TABLE if row.optax is not None], ids=lambda row: row.name
)
EVERY_KNOB = pytest.mark.parametrize(
    ("row", "knob"),
    [pytest.param(row, knob, id=f"{row.name}-{knob}") for row in TABLE for knob in row.knobs],
)
