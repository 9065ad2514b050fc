"""Valid calls of functions: activations, initializers, `jaxnn.regularizers`, `jaxnn.tree`."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import are_integers, is_number
from fuzz_kinds import (
    anything,
    array,
    choice,
    dtype,
    flag,
    function,
    integer,
    integers,
    key,
    knob,
    mapping,
    mask,
    only,
    text,
    tree,
)
from fuzz_outcome import Row, row

from jaxnn import nn, regularizers

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
IMAGES = np.linspace(-2, 2, 72, dtype=np.float32).reshape(2, 6, 6, 1)
RATE = "[0, 1)"
PARAMS = {"Dense_0": {"bias": np.ones(2, np.float32), "kernel": np.ones((3, 2), np.float32)}}
NOT_NEGATIVE = "[0, inf)"
DTYPE, INITIALIZER = dtype(jnp.float32), function(jax.nn.initializers.ones, none=True)


def numbers(value: Any):
    """Inputs of an activation function, which may be complex."""
    return array(value, also=lambda other: np.ndim(other) >= 0 and np.iscomplexobj(other))


def axis(value: Any):
    return integer(value, -2, 1, huge=True)


def drawn(make: Any) -> Any:
    return make(jax.random.key(0), (4, 3), jnp.float32)


def _activations() -> list[Row]:
    plain = (
        "gelu_tanh silu mish hard_silu identity relu relu6 selu softplus "
        "sigmoid log_sigmoid hard_sigmoid tanh hard_tanh soft_sign"
    )
    return [
        *(row(f"nn.{name}", x=numbers(X)) for name in plain.split()),
        row("nn.gelu", x=numbers(X), approximate=flag(False), alpha=knob(1.7, none=True)),
        row("nn.glu", x=numbers(X), axis=axis(-1)),
        row("nn.leaky_relu", x=numbers(X), negative_slope=knob(0.1)),
        row("nn.elu", x=numbers(X), alpha=knob(1.0)),
        row("nn.celu", x=numbers(X), alpha=knob(1.0, "(0, inf)", vanishes=False)),
        *(
            row(
                f"nn.{name}",
                x=numbers(X),
                axis=integer(-1, -2, 1, also=lambda o: are_integers(o, -2, (1, 2)), huge=True),
            )
            for name in ("softmax", "log_softmax")
        ),
        row("nn.sparsemax", x=array(X), axis=axis(-1)),
        row("nn.activation", name_or_function=function("relu", called=("activation",))),
    ]


def _initializers() -> list[Row]:
    scale, truncated = knob(1.0, "[0, inf)"), flag(False)
    return [
        row("nn.constant", drawn, value=knob(0.1)),
        row("nn.zeros", drawn),
        row("nn.normal", drawn, stddev=scale, truncated=truncated),
        row("nn.uniform", drawn, limit=scale),
        row("nn.positive_mean", drawn, mean=scale, scale=scale),
        row("nn.orthogonal", drawn, scale=scale),
        row(
            "nn.initializer_for",
            drawn,
            activation=function("relu", also=lambda o: isinstance(o, str)),  # any name
            scale=scale,
        ),
        *(
            row(f"nn.{name}_normal", drawn, scale=scale, truncated=truncated)
            for name in ("he", "glorot", "lecun")
        ),
        *(row(f"nn.{name}_uniform", drawn, scale=scale) for name in ("he", "glorot", "lecun")),
        row(
            "nn.variance_scaling",
            drawn,
            scale=scale,
            mode=choice("fan_in", "fan_out", "fan_avg"),
            distribution=choice("normal", "truncated_normal", "uniform"),
        ),
        Row(
            "nn.he_normal:initializer",
            {
                "key": key(jax.random.key(0)),
                "shape": integers((4, 3), lengths=range(2, 9)),
                "dtype": dtype(jnp.float32),
            },
            lambda **values: nn.he_normal()(**values),
        ),
        row(
            "nn.layer_sequential_unit_variance",
            slow=True,
            model=only(linen.Dense(2)),
            params=tree({"kernel": np.ones((4, 2), np.float32), "bias": np.zeros(2, np.float32)}),
            batch=array(X, called=("x",)),
            model_state=mapping({}, lambda item: True),
            orthogonal_key=anything(1, lambda o: o is None or key(0).takes(o), called=("key",)),
            tolerance=knob(0.01, "[0, inf)"),
            max_iterations=integer(3),
            mode=mapping({}, lambda item: False),
        ),
    ]


def _regularizers() -> list[Row]:
    def used(penalty: Any) -> Any:
        return penalty(PARAMS)

    strength = knob(0.1, NOT_NEGATIVE, vanishes=False)
    path = mask("weights_only")
    return [
        row("regularizers.l1", used, strength=strength, mask=path),
        row("regularizers.l2", used, strength=strength, mask=path),
        row("regularizers.elastic", used, l1=strength, l2=strength, mask=path),
        row(
            "regularizers.per_layer",
            used,
            regularizer=function(regularizers.l2),
            strengths=mapping(
                {"Dense_0": 0.1}, lambda o: is_number(o) and o >= 0, called=("strength", "l2")
            ),
            mask=path,
        ),
        Row(
            "regularizers.l2:penalty",
            {"params": tree(PARAMS, none=True, complex_too=True)},
            lambda params: regularizers.l2(0.1)(params),
        ),
    ]


def _trees() -> list[Row]:
    return [
        row("tree.mask_tree", mask=mask("all"), params=anything(PARAMS)),
        row("tree.weights_only", path=text("Dense_0/kernel"), leaf=anything(np.ones((3, 2)))),
    ]


def rows() -> list[Row]:
    return [*_activations(), *_initializers(), *_regularizers(), *_trees()]
