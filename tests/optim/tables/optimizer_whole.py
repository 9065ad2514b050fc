"""Rows of the table of optimizers: each whole optimizer, in each of its forms."""

from __future__ import annotations

from functools import partial

import numpy_formulas as f
import optax
from optimizer_chains import weights
from optimizer_rows import (
    ADADELTA,
    ADAGRAD,
    ADAMAX,
    APART,
    DECAY,
    EPS,
    LION,
    MOMENTUM,
    RADAM,
    RMS,
    RMS_MOMENTUM,
    SGD,
    SLOW,
    WEIGHT_DECAY,
    WHOLE_ADAM,
    Knob,
    Row,
    replace,
    with_fixed,
)

from jaxnn import optim


def inside(tx, **knobs):
    """Optax has the parts of this, in another order."""
    return lambda learning_rate, decay: optax.chain(
        optax.scale_by_learning_rate(learning_rate), tx(decay, **knobs)
    )


WHOLE = [
    Row("sgd", optim.sgd, SGD, f.sgd, optax.sgd),
    Row(
        "sgd_momentum",
        optim.sgd,
        {**SGD, "momentum": DECAY},
        lambda *a, momentum, **k: f.momentum(*a, decay=momentum, **k),
        optax.sgd,
        SLOW,
    ),
    Row(
        "sgd_nesterov",
        partial(optim.sgd, nesterov=True),
        {**SGD, "momentum": DECAY},
        lambda *a, momentum, **k: f.momentum(*a, decay=momentum, look="current", **k),
        partial(optax.sgd, nesterov=True),
        SLOW,
    ),
    Row(
        "momentum",
        optim.momentum,
        MOMENTUM,
        f.momentum,
        lambda learning_rate, decay: optax.sgd(learning_rate, momentum=decay),
        SLOW,
    ),
    Row(
        "momentum_rate_inside",
        partial(optim.momentum, rate_in_velocity=True),
        MOMENTUM,
        with_fixed(f.momentum, inside=True),
        inside(optax.trace),
        SLOW,
    ),
    Row(
        "nesterov_lookahead",
        optim.nesterov,
        MOMENTUM,
        with_fixed(f.momentum, look="ahead"),
        None,
        SLOW,
        covers=("nesterov",),
    ),
    Row(
        "nesterov_lookahead_rate_inside",
        partial(optim.nesterov, rate_in_velocity=True),
        MOMENTUM,
        with_fixed(f.momentum, look="ahead", inside=True),
        None,
        SLOW,
    ),
    Row(
        "nesterov_current",
        partial(optim.nesterov, form="current"),
        MOMENTUM,
        with_fixed(f.momentum, look="current"),
        lambda learning_rate, decay: optax.sgd(learning_rate, momentum=decay, nesterov=True),
        SLOW,
    ),
    Row(
        "nesterov_current_rate_inside",
        partial(optim.nesterov, form="current", rate_in_velocity=True),
        MOMENTUM,
        with_fixed(f.momentum, look="current", inside=True),
        inside(optax.trace, nesterov=True),
        SLOW,
    ),
    Row("adagrad", optim.adagrad, ADAGRAD, f.adagrad, optax.adagrad, {"learning_rate": 0.3}),
    Row(
        "adagrad_eps_outside",
        partial(optim.adagrad, eps_in_sqrt=False),
        {**ADAGRAD, "eps": replace(EPS, value=1e-2)},
        with_fixed(f.adagrad, eps_in_sqrt=False),
        None,
        {"learning_rate": 0.3},
    ),
    Row("rmsprop", optim.rmsprop, RMS, f.rmsprop, optax.rmsprop, SLOW),
    *(
        Row(
            f"rmsprop_{name}",
            partial(optim.rmsprop, **form),
            RMS_MOMENTUM if velocity else RMS,
            with_fixed(f.rmsprop, **form),
            partial(optax.rmsprop, **form) if twin else None,
            SLOW,
        )
        for name, velocity, form, twin in [
            ("eps_outside", False, {"eps_in_sqrt": False}, True),
            ("centered", False, {"centered": True}, True),
            ("corrected", False, {"bias_correction": True}, True),
            ("momentum", True, {}, True),
            ("momentum_outside", True, {"rate_in_velocity": False}, False),
            ("nesterov", True, {"nesterov": True}, True),
        ]
    ),
    Row("adam", optim.adam, WHOLE_ADAM, f.adam, optax.adam, SLOW),
    *(
        Row(
            f"adam_{name}",
            partial(optim.adam, **form),
            APART,
            with_fixed(f.adam, **form),
            theirs,
            {"learning_rate": 0.03},
        )
        for name, form, theirs in [
            ("uncorrected", {"bias_correction": False}, None),
            ("eps_before_correction", {"eps_before_correction": True}, None),
            ("nesterov", {"nesterov": True}, partial(optax.adam, nesterov=True)),
            ("amsgrad_raw", {"amsgrad": "raw"}, None),
            ("amsgrad", {"amsgrad": "corrected"}, optax.amsgrad),
        ]
    ),
    Row("nadam", optim.nadam, WHOLE_ADAM, with_fixed(f.adam, nesterov=True), optax.nadam, SLOW),
    Row(
        "nadam_keras",
        optim.nadam,
        {
            **WHOLE_ADAM,
            "momentum_decay": Knob(1.0, (0.0, 0.004, 2.0), bad=(-0.1,), allowed="[0, inf)"),
        },
        f.adam,
        None,
        SLOW,
        covers=("scale_by_adam",),
    ),
    Row(
        "adamw",
        optim.adamw,
        {**WHOLE_ADAM, "weight_decay": WEIGHT_DECAY},
        f.adam,
        partial(optax.adamw, mask=weights),
        {**SLOW, "weight_decay": 0.0},
        bias={"weight_decay": 0.0},
    ),
    Row(
        "adamw_all",
        partial(optim.adamw, mask="all"),
        {**WHOLE_ADAM, "weight_decay": WEIGHT_DECAY},
        f.adam,
        optax.adamw,
        {**SLOW, "weight_decay": 0.0},
    ),
    Row("adamax", optim.adamax, ADAMAX, f.adamax, optax.adamax, SLOW),
    Row("adadelta", optim.adadelta, ADADELTA, f.adadelta, optax.adadelta, {"learning_rate": 1.0}),
    Row(
        "adadelta_decayed",
        partial(optim.adadelta, weight_decay_mask="all"),
        {**ADADELTA, "weight_decay": WEIGHT_DECAY},
        f.adadelta,
        optax.adadelta,
        {"learning_rate": 1.0, "weight_decay": 0.0},
    ),
    Row("radam", optim.radam, RADAM, f.radam, optax.radam, {"learning_rate": 0.03}),
    Row(
        "radam_nesterov",
        partial(optim.radam, nesterov=True),
        RADAM,
        with_fixed(f.radam, nesterov=True),
        partial(optax.radam, nesterov=True),
        {"learning_rate": 0.03},
    ),
    Row(
        "lion",
        partial(optim.lion, mask="all"),
        LION,
        f.lion,
        optax.lion,
        {**SLOW, "weight_decay": 0.0},
        covers=("scale_by_lion",),
    ),
]
