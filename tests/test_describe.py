"""Descriptions of recipes' parts: what they tell apart, and that they mean the same later."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.describe import describe, differences


class Point(NamedTuple):
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Noise:
    scale: float
    clip: float | None = None

    def loss(self, outputs, targets):
        return self.scale * (outputs - targets) ** 2


def shift(by: Any):
    def shifted(x):
        return x + by

    return shifted


def plain(x):
    return x


def recursive(depth):
    def itself(x):
        return x if depth == 0 else itself(x)

    return itself


HERE = __name__

DESCRIPTIONS = [
    (None, None),
    (True, True),
    (3, 3),
    (0.1, 0.1),
    ("relu", "relu"),
    (np.float64(0.5), 0.5),
    (np.int32(4), 4),
    (jnp.float32(0.5), 0.5),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (jax.random.key(3), [0, 3]),
    (jax.random.PRNGKey(3), [0, 3]),
    ((1, [2, "a"]), [1, [2, "a"]]),
    (Point(1.0, 2.0), [1.0, 2.0]),
    ({"a": {1: 2.0}}, {"a": {"1": 2.0}}),
    (plain, f"{HERE}.plain"),
    (shift(2.0), {f"{HERE}.shift": {"by": 2.0}}),
    (shift(shift(jnp.float32(1))), {f"{HERE}.shift": {"by": {f"{HERE}.shift": {"by": 1.0}}}}),
    (functools.partial(plain, 3, x=1), {f"{HERE}.plain": {"0": 3, "x": 1}}),
    (functools.partial(shift(1), 2), {f"{HERE}.shift": {"0": 2}}),
    (Noise(0.5), {f"{HERE}.Noise": {"scale": 0.5, "clip": None}}),
    (jnp.bfloat16, "jax.numpy.bfloat16"),
    (float, "builtins.float"),
    (
        jaxnn.nn.LayerNorm(epsilon=1e-5),
        {
            "jaxnn.nn.layers.norm.layer.LayerNorm": {
                "epsilon": 1e-5,
                "use_bias": True,
                "use_scale": True,
                "bias_init": {"jaxnn.nn.initializers.basic.constant": {"value": 0.0}},
                "scale_init": {"jaxnn.nn.initializers.basic.constant": {"value": 1.0}},
                "dtype": None,
                "param_dtype": "builtins.float",
                "reduction_axes": -1,
                "feature_axes": -1,
            }
        },
    ),
    (
        jaxnn.nn.LogisticRegression(3, kernel_init=jaxnn.nn.constant(0.1)),
        {
            "jaxnn.nn.models.mlp.LogisticRegression": {
                "classes": 3,
                "kernel_init": {"jaxnn.nn.initializers.basic.constant": {"value": 0.1}},
                "param_dtype": "builtins.float",
            }
        },
    ),
    (
        jaxnn.regularizers.l2(1e-4),
        {"jaxnn.regularizers.l2": {"mask": "weights_only", "strength": 1e-4}},
    ),
]


@pytest.mark.parametrize(("thing", "expected"), DESCRIPTIONS, ids=lambda value: None)
def test_descriptions(thing, expected):
    assert describe(thing) == expected
    assert json.loads(json.dumps(describe(thing))) == expected


# Pairs that train differently.
DIFFERENT = {
    "rate": (jaxnn.optim.adam(1e-3), jaxnn.optim.adam(2e-3)),
    "optimizer": (jaxnn.optim.adam(1e-3), jaxnn.optim.sgd(1e-3)),
    "theirs": (optax.adam(1e-3), optax.adam(1e-3, b1=0.8)),
    "schedule": (
        jaxnn.optim.sgd(jaxnn.optim.schedules.step(1.0, every=5)),
        jaxnn.optim.sgd(jaxnn.optim.schedules.step(1.0, every=6)),
    ),
    "width": (jaxnn.nn.MLP((4, 2)), jaxnn.nn.MLP((5, 2))),
    "no dropout": (jaxnn.nn.MLP((4, 2), dropout_rate=0.0), jaxnn.nn.MLP((4, 2))),
    "initializer": (
        jaxnn.nn.MLP((4, 2), kernel_init=jaxnn.nn.he_normal()),
        jaxnn.nn.MLP((4, 2), kernel_init=jaxnn.nn.glorot_normal()),
    ),
    "dtype": (
        jaxnn.nn.MLP((4, 2), param_dtype=jnp.dtype("bfloat16")),
        jaxnn.nn.MLP((4, 2), param_dtype=jnp.dtype("float16")),
    ),
    "mask": (jaxnn.regularizers.l2(0.1), jaxnn.regularizers.l2(0.1, mask="all")),
    "regex": (
        jaxnn.regularizers.l2(0.1, mask=re.compile("bias")),
        jaxnn.regularizers.l2(0.1, mask=re.compile("kernel")),
    ),
    "large array": (shift(np.arange(100)), shift(np.arange(100)[::-1])),
    "large array's dtype": (shift(np.zeros(100, np.float32)), shift(np.zeros(100, np.int32))),
    "partial": (functools.partial(shift, 1), functools.partial(shift, 2)),
    "jitted": (jax.jit(shift(1)), jax.jit(shift(2))),
    "bound method": (Noise(1.0).loss, Noise(2.0).loss),
    "default argument": tuple(lambda count, rate=rate: rate for rate in (0.1, 0.2)),
    "set": (shift({1, 2}), shift({1, 3})),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_described_differently(name):
    old, new = map(describe, DIFFERENT[name])
    assert differences(old, new)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_made_twice_is_described_the_same(name):
    """Equal by value, though no two closures are equal; and it can be written down."""
    for thing in DIFFERENT[name]:
        description = describe(thing)
        assert json.loads(json.dumps(description)) == description
    assert describe(jaxnn.optim.adam(0.1)) == describe(jaxnn.optim.adam(0.1))


def test_a_closure_that_holds_itself():
    assert describe(recursive(3)) == {f"{HERE}.recursive": {"depth": 3, "itself": "…"}}
    loop: list[Any] = [1]
    loop.append(loop)
    assert describe(loop) == [1, "…"]
    shared = shift(1)  # twice the same thing is no loop
    assert describe([shared, shared]) == [describe(shared)] * 2


def test_a_traced_knob_has_no_value():
    seen = []
    jax.jit(lambda rate: seen.append(describe(jaxnn.optim.sgd(rate))))(0.5)
    assert "traced" in json.dumps(seen) and "0.5" not in json.dumps(seen)


def test_large_arrays_are_a_checksum_of_their_values():
    array = np.arange(60.0).reshape(3, 20)
    description = describe(array)
    assert (description["shape"], description["dtype"]) == ([3, 20], "float64")
    assert describe(np.asfortranarray(array)) == description  # wherever they lie in memory
    array[2, 19] = 0
    assert describe(array) != description


PROGRAM = """
import json, jaxnn, optax
from jaxnn.describe import describe
print(json.dumps(describe({
    "model": jaxnn.nn.MLP((4, 2), dropout_rate=0.5, kernel_init=jaxnn.nn.he_normal()),
    "loss": jaxnn.losses.softmax_cross_entropy,
    "optimizer": optax.chain(
        optax.masked(optax.clip(1.0), {"b": True, "a": False}),
        jaxnn.optim.adam(jaxnn.optim.schedules.step(0.1, every=5)),
    ),
    "regularizer": jaxnn.regularizers.l2(1e-4),
    "stop": {"patience", "baseline", "restore"},
})))
"""


def test_the_same_in_another_process():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert "he_normal" in outputs[0] and '"every": 5' in outputs[0]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (1, 1, []),
        (1, 2, ["it: 1 there, 2 here"]),
        (float("nan"), float("nan"), []),
        (None, 0.0, ["it: None there, 0.0 here"]),
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a/b/1: 2 there, 3 here"]),
        ({"a": 1}, {"b": 1}, ["a: 1 there, nothing here", "b: nothing there, 1 here"]),
        ([1, 2], [1], ["it: [1, 2] there, [1] here"]),
        ({"a": [1]}, {"a": {"0": 1}}, ["a: [1] there, {'0': 1} here"]),
    ],
)
def test_differences(old, new, lines):
    assert differences(old, new) == lines
