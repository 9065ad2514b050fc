"""The table of activations: formula, points where the slope jumps, and knobs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from layer_formulas import relu, sigmoid

from jaxnn import nn


@dataclass(frozen=True)
class Knob:
    """A slope or α that may be a traced scalar."""

    function: Callable
    name: str
    formula: Callable
    axis: tuple[float, ...]  # of vmap


def softplus(x):
    return np.logaddexp(0, x)


def phi(x):
    return 0.5 * np.vectorize(math.erfc, otypes=[float])(-x / np.sqrt(2))


def gelu(x, alpha=1.0):
    return x * phi(alpha * x)


def gelu_tanh(x, alpha=1.0):
    z = alpha * x
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def celu(x, alpha=1.0):
    return np.maximum(0, x) + alpha * (np.exp(np.minimum(0, x) / alpha) - 1)


def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x)


def hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def identity(x):
    return x


# Name: the formula, and points where a difference across a kink would be no slope.
ELEMENTWISE = {
    "relu": (relu, (0.0,)),
    "relu6": (lambda x: np.clip(x, 0, 6), (0.0, 6.0)),
    "leaky_relu": (leaky_relu, (0.0,)),
    "elu": (elu, ()),
    "celu": (celu, ()),
    "selu": (lambda x: 1.0507009873554804934 * elu(x, 1.6732632423543772848), (0.0,)),
    "softplus": (softplus, ()),
    "gelu": (gelu, ()),
    "gelu_tanh": (gelu_tanh, ()),
    "silu": (lambda x: x * sigmoid(x), ()),
    "swish": (lambda x: x * sigmoid(x), ()),
    "hard_silu": (lambda x: x * hard_sigmoid(x), (-3.0, 3.0)),
    "hard_swish": (lambda x: x * hard_sigmoid(x), (-3.0, 3.0)),
    "mish": (lambda x: x * np.tanh(softplus(x)), ()),
    "sigmoid": (sigmoid, ()),
    "hard_sigmoid": (hard_sigmoid, (-3.0, 3.0)),
    "log_sigmoid": (lambda x: -softplus(-x), ()),
    "tanh": (np.tanh, ()),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), (-1.0, 1.0)),
    "soft_sign": (lambda x: x / (1 + np.abs(x)), ()),
    "identity": (identity, ()),
    "linear": (identity, ()),
}


def softmax(x, axis=-1):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def nearest(x):
    """The nearest point of the simplex, by trial of every support."""
    for size in range(1, len(x) + 1):
        for support in itertools.combinations(range(len(x)), size):
            inside = np.isin(np.arange(len(x)), support)
            tau = (x[inside].sum() - 1) / size
            if (x[inside] > tau).all() and (x[~inside] <= tau).all():
                return np.where(inside, x - tau, 0)
    raise AssertionError("no support satisfies the conditions of optimality")


def sparsemax(x, axis=-1):
    return np.apply_along_axis(nearest, axis, x)


# Of several numbers at a time.
OF_SEVERAL = {
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
    "sparsemax": sparsemax,
}

KNOBS = {
    "leaky_relu": Knob(nn.leaky_relu, "negative_slope", leaky_relu, (-0.5, 0.0, 0.1, 0.3, 2.0)),
    "elu": Knob(nn.elu, "alpha", elu, (0.0, 0.5, 1.0, 3.0)),
    "celu": Knob(nn.celu, "alpha", celu, (0.1, 1.0, 3.0)),
    "gelu": Knob(nn.gelu, "alpha", gelu, (-1.0, 0.0, 0.5, 1.0, 10.0)),
    "gelu_tanh": Knob(
        partial(nn.gelu, approximate=True), "alpha", gelu_tanh, (-1.0, 0.0, 0.5, 1.0, 10.0)
    ),
}
