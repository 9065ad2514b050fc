"""Valid calls of `jaxnn.nn`: layers."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np
from fuzz_argument import are_integers, is_integer
from fuzz_kinds import (
    anything,
    array,
    choice,
    flag,
    integer,
    integers,
    key,
    knob,
    numbers,
    text,
)
from fuzz_outcome import Row, row
from fuzz_rows_functions import DTYPE, IMAGES, INITIALIZER, RATE, X

from jaxnn import nn


def window(value: Any, **more: Any):
    return integer(value, also=lambda other: are_integers(other, 1, (1, 2, 3)), **more)


def padding(value: Any):
    def takes(other: Any) -> bool:
        return (
            other in ("SAME", "VALID")
            if isinstance(other, str)
            else ((is_integer(other) and other >= 0) or are_integers(other, 0, (2,)))
        )

    return anything(value, takes, skip=("2**40", "10**30"))


def applied(x: Any):
    """Initialize a layer, and run it in both of its modes."""

    def use(layer: Any) -> Any:
        variables = layer.init(jax.random.key(0), x)
        outputs = [layer.apply(variables, x)]
        if "train" in inspect.signature(type(layer).__call__).parameters:
            outputs.append(
                layer.apply(
                    variables,
                    x,
                    train=True,
                    rngs={getattr(layer, "rng_collection", "dropout"): jax.random.key(1)},
                    mutable=["batch_stats"],
                )
            )
        return outputs

    return use


def call_of(name: str, make: Any, x: Any, /, **arguments: Any) -> Row:
    """The row of a layer's `__call__`."""

    def call(**values: Any) -> Any:
        layer = make()
        variables = layer.init(jax.random.key(0), x)
        return layer.apply(
            variables, rngs={"dropout": jax.random.key(1)}, mutable=["batch_stats"], **values
        )

    return Row(f"{name}:call", arguments, call)


def _layers() -> list[Row]:
    x, image = applied(X), applied(IMAGES)
    rate, features = knob(0.4, RATE), integer(3)
    scale_at = choice("train", "test")
    name = text("dropout")
    weight = array(np.ones(3, np.float32), none=True)
    pool = {"window_shape": window(2), "strides": window(1), "padding": padding("VALID")}
    norm = {
        "epsilon": knob(0.1, "[0, inf)", vanishes=False),
        "use_scale": flag(True),
        "use_bias": flag(True),
        "param_dtype": DTYPE,
    }
    return [
        row(
            "nn.Dropout",
            x,
            rate=rate,
            scale_at=scale_at,
            rng_collection=name,
            broadcast_dims=integers((0,), -2, range(3)),
        ),
        row(
            "nn.dropout",
            key=key(0),
            x=array(X),
            rate=rate,
            scaled=flag(True),
            broadcast_dims=integers((0,), -2, range(3)),
        ),
        row(
            "nn.DropConnect",
            x,
            features=features,
            rate=rate,
            scale_at=scale_at,
            per_example=flag(False),
            use_bias=flag(True),
            kernel_init=INITIALIZER,
            param_dtype=DTYPE,
            rng_collection=name,
        ),
        row(
            "nn.PReLU", x, negative_slope_init=knob(0.2), per_channel=flag(True), param_dtype=DTYPE
        ),
        row(
            "nn.Maxout",
            x,
            features=features,
            pieces=integer(2),
            kernel_init=INITIALIZER,
            bias_init=INITIALIZER,
            param_dtype=DTYPE,
        ),
        row(
            "nn.BatchNorm",
            x,
            momentum=knob(0.9, RATE),
            unbiased=flag(False),
            axis_name=text(None, none=True, skip=("'no'", "''", "'('")),
            **norm,
        ),
        *(row(f"nn.{kind}Norm", x, **norm) for kind in ("Layer", "RMS")),
        row("nn.GroupNorm", image, num_groups=integer(1, huge=True), **norm),
        row(
            "nn.Conv",
            image,
            features=features,
            kernel_size=window(3),
            strides=window(1),
            padding=padding("SAME"),
            kernel_dilation=window(1),
            use_bias=flag(True),
            feature_group_count=integer(1, huge=True),
            kernel_init=INITIALIZER,
            bias_init=INITIALIZER,
            dtype=DTYPE,
            param_dtype=DTYPE,
        ),
        row(
            "nn.conv",
            x=array(IMAGES),
            kernel=array(np.ones((3, 3, 1, 2), np.float32)),
            strides=window(1),
            padding=padding("SAME"),
            kernel_dilation=window(1),
            feature_group_count=integer(1, huge=True),
        ),
        row("nn.max_pool", x=array(IMAGES), **pool),
        row("nn.avg_pool", x=array(IMAGES), count_include_pad=flag(True), **pool),
        row("nn.global_avg_pool", x=array(IMAGES)),
        row("nn.StochasticPool", image, rng_collection=name, **pool),
        row("nn.stochastic_pool", key=key(0), x=array(np.abs(IMAGES)), **pool),
        row("nn.stochastic_pool_mean", x=array(np.abs(IMAGES)), **pool),
        call_of("nn.Dropout", lambda: nn.Dropout(0.4), X, x=array(X), train=flag(True)),
        call_of("nn.DropConnect", lambda: nn.DropConnect(3, 0.4), X, x=array(X), train=flag(True)),
        call_of("nn.BatchNorm", nn.BatchNorm, X, x=array(X), train=flag(True), weight=weight),
        call_of("nn.LayerNorm", nn.LayerNorm, X, x=array(X)),
        call_of("nn.GroupNorm", lambda: nn.GroupNorm(num_groups=1), IMAGES, x=array(IMAGES)),
        call_of("nn.Conv", lambda: nn.Conv(2), IMAGES, x=array(IMAGES)),
        call_of("nn.PReLU", nn.PReLU, X, x=array(X)),
        call_of("nn.Maxout", lambda: nn.Maxout(3), X, x=array(X)),
        call_of(
            "nn.StochasticPool",
            lambda: nn.StochasticPool(2),
            np.abs(IMAGES),
            x=array(np.abs(IMAGES)),
            train=flag(True),
        ),
    ]


def _new() -> list[Row]:
    x, image = applied(X), applied(IMAGES)
    rate, axes = knob(0.4, RATE), integers((0,), -2, range(3))
    name = text("dropout")
    transposed = {
        "strides": window(1),
        "padding": padding("SAME"),
        "kernel_dilation": window(1),
        "transpose_kernel": flag(False),
    }
    ratio = numbers(1.5, "[1, 6]", (1, 2, 3))  # of the images' 6 pixels
    fractions = {
        "ratio": anything(1.5, lambda o: ratio.takes(o) or knob(1.5, "[1, 6]").takes(o)),
        "overlapping": flag(True),
        "pseudo_random": flag(False),
    }
    return [
        *(
            row(f"nn.{kind}Dropout", x, rate=rate, broadcast_dims=axes, rng_collection=name)
            for kind in ("Gaussian", "Alpha")
        ),
        *(
            row(f"nn.{kind}_dropout", key=key(0), x=array(X), rate=rate, broadcast_dims=axes)
            for kind in ("gaussian", "alpha")
        ),
        row(
            "nn.ConvTranspose",
            image,
            features=integer(3),
            kernel_size=window(3),
            use_bias=flag(True),
            kernel_init=INITIALIZER,
            bias_init=INITIALIZER,
            dtype=DTYPE,
            param_dtype=DTYPE,
            **transposed,
        ),
        row(
            "nn.conv_transpose",
            x=array(IMAGES),
            kernel=array(np.ones((3, 3, 1, 1), np.float32)),
            **transposed,
        ),
        row("nn.FractionalMaxPool", image, rng_collection=name, **fractions),
        row(
            "nn.fractional_max_pool",
            key=anything(0, lambda o: o is None or key(0).takes(o)),
            x=array(IMAGES),
            **fractions,
        ),
        row("nn.global_max_pool", x=array(IMAGES), spatial_axes=integer(2, 1, 3, none=True)),
    ]


def rows() -> list[Row]:
    return [*_layers(), *_new()]
