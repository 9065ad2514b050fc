"""The table of initializers: mean, variance, kind of distribution, and the knob."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from jaxnn import nn
from jaxnn.nn import Initializer

# A normal cut off at ±2: its variance and fourth moment, by hand.
DENSITY = math.exp(-2) / math.sqrt(2 * math.pi)
MASS = math.erf(math.sqrt(2))
CUT_VARIANCE = 1 - 4 * DENSITY / MASS
CUT_KURTOSIS = (3 * CUT_VARIANCE - 16 * DENSITY / MASS) / CUT_VARIANCE**2

# Of the kinds: the fourth moment over the square of the second, a bound on how that deviates
# from draw to draw, times √n, and the largest number over the standard deviation.
KINDS = {
    "normal": (3, math.sqrt(24), math.inf),
    "uniform": (9 / 5, 3, math.sqrt(3)),
    "truncated_normal": (CUT_KURTOSIS, 4, 2 / math.sqrt(CUT_VARIANCE)),
}

Shape = Sequence[int]


def fan_in(shape: Shape) -> float:
    return math.prod(shape[:-1])


def fan_out(shape: Shape) -> float:
    return math.prod(shape[:-2]) * shape[-1]


def fan_avg(shape: Shape) -> float:
    return (fan_in(shape) + fan_out(shape)) / 2


MODES = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": fan_avg}


@dataclass(frozen=True)
class Row:
    """An initializer; each of its numbers is that of a kernel of a given shape."""

    name: str
    covers: str  # the name in `jaxnn.nn`
    make: Callable[..., Initializer]
    variance: Callable[[Shape], float]
    kind: str = "normal"
    mean: Callable[[Shape], float] = lambda shape: 0.0
    knob: tuple[str, float] = ("scale", 1.0)  # what multiplies the weights, and its default
    power: float = 1  # of the knob that it multiplies them by
    fans: bool = True  # whether it needs a shape with a fan-in


def he(shape: Shape) -> float:
    return 2 / fan_in(shape)


def glorot(shape: Shape) -> float:
    return 1 / fan_avg(shape)


def lecun(shape: Shape) -> float:
    return 1 / fan_in(shape)


TABLE = [
    *(
        Row(f"{name}_{kind}", f"{name}_{kind}", make, variance, kind)
        for name, kind, make, variance in [
            ("he", "normal", nn.he_normal, he),
            ("he", "uniform", nn.he_uniform, he),
            ("glorot", "normal", nn.glorot_normal, glorot),
            ("glorot", "uniform", nn.glorot_uniform, glorot),
            ("lecun", "normal", nn.lecun_normal, lecun),
            ("lecun", "uniform", nn.lecun_uniform, lecun),
        ]
    ),
    *(
        Row(
            f"{name}, cut off",
            f"{name}_normal",
            partial(make, truncated=True),
            variance,
            "truncated_normal",
        )
        for name, make, variance in [
            ("he", nn.he_normal, he),
            ("glorot", nn.glorot_normal, glorot),
            ("lecun", nn.lecun_normal, lecun),
        ]
    ),
    Row("tanh", "initializer_for", partial(nn.initializer_for, "tanh"), glorot, "uniform"),
    Row(
        "positive_mean",
        "positive_mean",
        partial(nn.positive_mean, 0.5),
        he,
        mean=lambda shape: 0.5 / fan_in(shape),
    ),
    Row(
        "orthogonal",
        "orthogonal",
        nn.orthogonal,
        lambda shape: 1 / max(fan_in(shape), shape[-1]),  # rows or columns of length 1
    ),
    *(
        Row(
            name,
            "normal",
            partial(nn.normal, truncated=kind == "truncated_normal"),
            lambda shape: 0.01**2,
            kind,
            knob=("stddev", 0.01),
            fans=False,
        )
        for name, kind in [("normal", "normal"), ("normal, cut off", "truncated_normal")]
    ),
    Row(
        "uniform",
        "uniform",
        nn.uniform,
        lambda shape: 0.05**2 / 3,
        "uniform",
        knob=("limit", 0.05),
        fans=False,
    ),
    Row(
        "lecture C",
        "variance_scaling",
        partial(nn.variance_scaling, scale=0.5, mode="fan_avg", distribution="normal"),
        lambda shape: 0.5 / fan_avg(shape),
        knob=("scale", 0.5),
        power=0.5,
    ),
    *(
        Row(
            f"{mode}, {kind}",
            "variance_scaling",
            partial(nn.variance_scaling, scale=0.7, mode=mode, distribution=kind),
            lambda shape, fan=fan: 0.7 / fan(shape),
            kind,
            knob=("scale", 0.7),
            power=0.5,
        )
        for mode, fan in MODES.items()
        for kind in KINDS
    ),
]

CONSTANTS = {"zeros": (nn.zeros, 0.0), "constant": (partial(nn.constant, 0.3), 0.3)}

EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
