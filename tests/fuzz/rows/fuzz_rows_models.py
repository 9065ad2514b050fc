"""Valid calls of `jaxnn.nn`: models and adapters."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import numpy as np
from flax import nnx
from fuzz_argument import are_integers
from fuzz_kinds import (
    anything,
    array,
    choice,
    flag,
    function,
    integer,
    integers,
    knob,
    mapping,
    only,
    text,
    tree,
)
from fuzz_outcome import Row, row
from fuzz_rows_functions import DTYPE, IMAGES, INITIALIZER, RATE, X
from fuzz_rows_layers import applied, call_of, window

from jaxnn import nn


def _models() -> list[Row]:
    rate = knob(0.4, RATE, none=True)
    rates = knob(0.4, RATE, none=True, also=lambda other: other == [None])  # of one layer
    network = {
        "activation": function("relu"),
        "dropout_rate": rates,
        "normalization": choice("batch", "layer", "rms", "group", none=True),
        "normalize_after": flag(False),
        "kernel_init": INITIALIZER,
        "bias_init": INITIALIZER,
        "param_dtype": DTYPE,
    }
    return [
        row("nn.MLP", applied(X), widths=integers((3, 2)), input_dropout_rate=rate, **network),
        row(
            "nn.LogisticRegression",
            applied(X),
            classes=integer(2),
            kernel_init=INITIALIZER,
            param_dtype=DTYPE,
        ),
        row(
            "nn.ConvNet",
            applied(IMAGES),
            slow=True,
            classes=integer(2),
            channels=integers((2,), lengths=range(9)),
            hidden=integers((3,), lengths=range(9)),
            kernel_size=window(3),
            pool=choice("max", "avg"),
            image_shape=anything((6, 6, 1), lambda o: o is None or are_integers(o, 1, (3,))),
            conv_dropout_rate=rates,
            **network,
        ),
        row(
            "nn.ResNet",
            applied(IMAGES),
            slow=True,
            classes=integer(2),
            depth=integer(8, 8),
            width=integer(4, none=True),
            **network,
        ),
        call_of(
            "nn.MLP", lambda: nn.MLP((3, 2), dropout_rate=0.5), X, x=array(X), train=flag(True)
        ),
        call_of("nn.LogisticRegression", lambda: nn.LogisticRegression(2), X, x=array(X)),
        call_of(
            "nn.ConvNet",
            lambda: nn.ConvNet(2, channels=(2,), hidden=(3,)),
            IMAGES,
            x=array(IMAGES),
            train=flag(True),
        ),
    ]


def _adapters() -> list[Row]:
    params = {"Dense_0": {"kernel": np.ones((3, 2), np.float32)}}

    def used(model: Any) -> Any:
        return model.init(jax.random.key(0), X)

    def is_model(other: Any) -> bool:
        return False

    pair = function(lambda *a, **k: ({}, {}))
    return [
        row(
            "nn.as_functional",
            used,
            model=only(linen.Dense(2)),
            rngs=anything(
                ("dropout",),
                lambda o: isinstance(o, (tuple, list)) and all(isinstance(name, str) for name in o),
            ),
        ),
        row("nn.from_nnx", used, make=function(lambda rngs: nnx.Linear(4, 2, rngs=rngs))),
        row("nn.takes_weight", model=only(linen.Dense(2))),
        row("nn.Functional", init=pair, apply=pair, takes_weight=flag(False)),
        row(
            "nn.load_pretrained",
            lambda result: result[0],
            params=tree(params),
            source=tree({"trunk/kernel": np.ones((3, 2), np.float32)}, called=("parameter",)),
            rename=mapping({"trunk": "Dense_0"}, lambda o: isinstance(o, str)),
            strict=flag(True),
            allow_mismatch=flag(False),
        ),
        row(
            "nn.summary",
            lambda made: str(made) and None,
            slow=True,
            model=only(linen.Dense(2)),
            x=array(X),
            train=flag(False),
            rngs=anything(
                ("dropout",),
                lambda o: isinstance(o, (tuple, list)) and all(isinstance(name, str) for name in o),
            ),
        ),
        row(
            "nn.tap",
            name=text("hidden"),
            x=array(X),
            site=choice("activation", "preactivation", "output"),
            bounds=only(None, none=True),
        ),
    ]


def rows() -> list[Row]:
    return [*_models(), *_adapters()]
