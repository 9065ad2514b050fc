"""The table of optimizers. Each row gets the whole contract suite, `test_optimizer_*.py`.

A row holds the factory, its knobs with their ranges, Optax's twin and the lecture's formula in
NumPy. Only the golden numbers and the tests of what a single optimizer does name optimizers
besides this table.
"""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import numpy_formulas as f
import optax
import pytest
from optimizer_chains import (
    PLATEAU_VALUES,
    adam_and_decay,
    adam_with_step,
    clipped,
    clipped_by_global_norm,
    clipped_by_norm,
    decayed_momentum,
    decayed_nesterov,
    decayed_sgd_alone,
    decayed_sgd_with_step,
    numpy_adam_with_step,
    numpy_decayed,
    numpy_decayed_sgd_with_step,
    numpy_sgd_and_multiply,
    on_plateau,
    optax_adam_and_decay,
    optax_adam_with_step,
    optax_decayed_sgd_with_step,
    optax_on_plateau,
    sgd_and_max_norm,
    sgd_and_multiply,
    sgd_and_threshold,
    two_rates,
    weights,
    weights_alone,
)
from optimizer_rows import (
    ADADELTA,
    ADAGRAD,
    ADAM,
    ADAMAX,
    BELOW,
    BOUND,
    MOMENTUM,
    MULTIPLIER,
    PLATEAU,
    RADAM,
    RMS,
    SCHEDULE,
    SGD,
    SLOW,
    STRENGTH,
    UNTIL_300,
    WEIGHT_DECAY,
    WEIGHT_DECAY_ALONE,
    WHOLE_ADAM,
    Row,
    with_fixed,
)
from optimizer_whole import WHOLE

from jaxnn import optim


def part(name, factory, theirs, knobs, formula, **fixed):
    """A link without the learning rate: alone it would walk uphill, at a rate of −1."""
    formula = with_fixed(formula, learning_rate=-1.0, **fixed)
    return Row(name, factory, knobs, formula, theirs, quadratic=None, covers=(name,))


def without_rate(knobs):
    return {name: knob for name, knob in knobs.items() if name != "learning_rate"}


nothing = {"weight_decay": 0.0}
TABLE = [
    *WHOLE,
    Row(
        "adam_with_step",
        adam_with_step,
        {**SCHEDULE, **ADAM},
        numpy_adam_with_step,
        optax_adam_with_step,
        UNTIL_300,
    ),
    Row(
        "adam_and_decay",
        adam_and_decay,
        {**WHOLE_ADAM, "weight_decay": WEIGHT_DECAY},
        f.adam,
        optax_adam_and_decay,
        {**SLOW, **nothing},
        bias=nothing,
        covers=("add_decayed_weights",),
    ),
    Row(
        "decayed_momentum",
        decayed_momentum,
        {**MOMENTUM, "weight_decay": WEIGHT_DECAY},
        partial(numpy_decayed, partial(f.momentum, inside=True)),
        None,
        {**SLOW, **nothing},
        bias=nothing,
        covers=("with_decoupled_weight_decay",),
    ),
    Row(
        "decayed_nesterov",
        decayed_nesterov,
        {**MOMENTUM, "weight_decay": WEIGHT_DECAY},
        partial(numpy_decayed, partial(f.momentum, look="ahead")),
        None,
        {**SLOW, **nothing},
        bias=nothing,
    ),
    Row(
        "decayed_sgd_with_step",
        decayed_sgd_with_step,
        {**SCHEDULE, "weight_decay": WEIGHT_DECAY},
        numpy_decayed_sgd_with_step,
        optax_decayed_sgd_with_step,
        {**UNTIL_300, **nothing},
        bias=nothing,
    ),
    Row(
        "decayed_sgd_alone",
        decayed_sgd_alone,
        {**SGD, "weight_decay": WEIGHT_DECAY_ALONE},
        partial(numpy_decayed, f.sgd, scaled=False),
        None,
        nothing,
        bias=nothing,
    ),
    Row(
        "multiply_weights",
        sgd_and_multiply,
        {**SGD, "factor": MULTIPLIER},
        numpy_sgd_and_multiply,
        None,
        {"factor": 1.0},
        bias={"factor": 1.0},
        covers=("multiply_weights",),
    ),
    Row(
        "max_norm",
        sgd_and_max_norm,
        {**SGD, "c": BOUND},
        f.max_norm,
        None,
        {"c": 1e3},
        covers=("max_norm",),
    ),
    Row(
        "soft_threshold",
        sgd_and_threshold,
        {**SGD, "strength": STRENGTH},
        f.proximal,
        None,
        {"strength": 0.0},
        bias={"strength": 0.0},
        covers=("soft_threshold",),
    ),
    Row(
        "clip",
        clipped,
        {**SGD, "max_delta": BOUND},
        f.clipped,
        lambda learning_rate, max_delta: optax.chain(
            optax.clip(max_delta), optax.sgd(learning_rate)
        ),
        covers=("clip",),
    ),
    Row(
        "clip_by_norm",
        clipped_by_norm,
        {**SGD, "max_norm": BOUND},
        f.clipped,
        covers=("clip_by_norm",),
    ),
    Row(
        "clip_by_global_norm",
        clipped_by_global_norm,
        {**SGD, "max_norm": BOUND},
        f.clipped,
        lambda learning_rate, max_norm: optax.chain(
            optax.clip_by_global_norm(max_norm), optax.sgd(learning_rate)
        ),
        coupled=True,
        covers=("clip_by_global_norm",),
    ),
    Row(
        "by_path",
        two_rates,
        MOMENTUM,
        f.momentum,
        lambda learning_rate, decay: optax.multi_transform(
            {True: optax.sgd(learning_rate, momentum=decay), False: optax.sgd(learning_rate)},
            weights,
        ),
        SLOW,
        bias={"decay": 0.0},
        covers=("by_path",),
    ),
    Row(
        "freeze",
        weights_alone,
        MOMENTUM,
        f.momentum,
        lambda learning_rate, decay: optax.multi_transform(
            {True: optax.sgd(learning_rate, momentum=decay), False: optax.set_to_zero()}, weights
        ),
        None,
        bias={"learning_rate": 0.0},
        covers=("freeze",),
    ),
    Row(
        "reduce_on_plateau",
        on_plateau,
        PLATEAU,
        with_fixed(f.plateau, values=PLATEAU_VALUES, patience=2),
        optax_on_plateau,
        {"min_scale": 0.5},
        covers=("plateau_rule",),
        extra={"value": 1.0},
    ),
    part("trace", optim.trace, optax.trace, {"decay": BELOW}, f.momentum),
    part("scale_by_adam", optim.scale_by_adam, optax.scale_by_adam, ADAM, f.adam),
    part("scale_by_rms", optim.scale_by_rms, optax.scale_by_rms, without_rate(RMS), f.rmsprop),
    part(
        "scale_by_adamax",
        optim.scale_by_adamax,
        optax.scale_by_adamax,
        without_rate(ADAMAX),
        f.adamax,
    ),
    part(
        "scale_by_adadelta",
        optim.scale_by_adadelta,
        optax.scale_by_adadelta,
        without_rate(ADADELTA),
        f.adadelta,
    ),
    part(
        "scale_by_radam", optim.scale_by_radam, optax.scale_by_radam, without_rate(RADAM), f.radam
    ),
    part("scale_by_rss", optim.scale_by_rss, optax.scale_by_rss, without_rate(ADAGRAD), f.adagrad),
    Row(
        "scale_by_learning_rate",
        optim.scale_by_learning_rate,
        SGD,
        f.sgd,
        optax.scale_by_learning_rate,
        covers=("scale_by_learning_rate",),
    ),
]


def rows(chosen=lambda row: True):
    found = [row for row in TABLE if chosen(row)]
    return pytest.mark.parametrize("row", found, ids=lambda row: row.name)


def _of_another_state():
    """The first row of each structure of state, for tests that are about the state alone."""
    params = {"bias": np.ones(2, np.float32), "kernel": np.ones((2, 2), np.float32)}
    seen = set()
    for row in TABLE:
        structure = jax.tree.structure(jax.eval_shape(row.make().init, params))
        if structure not in seen:
            seen.add(structure)
            yield row


STATES = tuple(_of_another_state())
EVERY_ROW = rows()
EVERY_STATE = rows(lambda row: row in STATES)
EVERY_ROW_WITH_TWIN = rows(lambda row: row.optax is not None)
