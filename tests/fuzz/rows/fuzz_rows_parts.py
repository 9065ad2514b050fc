"""Valid calls of `Recipe` and of the parts of `jaxnn.train`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import is_array, is_number
from fuzz_kinds import (
    anything,
    array,
    choice,
    flag,
    function,
    integer,
    key,
    knob,
    mapping,
    only,
    text,
    tree,
)
from fuzz_outcome import Row, row

import jaxnn
from jaxnn import losses, metrics, nn, optim, regularizers, train

RNG = np.random.default_rng(1)
BATCH = {"x": RNG.normal(size=(20, 3)).astype(np.float32), "y": np.arange(20) % 2}
NOT_NEGATIVE = "[0, inf)"


def make(knobs: Any = None, **more: Any) -> jaxnn.Recipe:
    rate = knobs["lr"] if knobs else 0.1
    return jaxnn.Recipe(nn.MLP((2,)), losses.softmax_cross_entropy, optim.sgd(rate), **more)


@cache
def plain() -> jaxnn.Recipe:
    """One recipe for all calls, so that its programs compile once."""
    return make()


@cache
def trained() -> train.Run:
    return jaxnn.fit(plain(), jaxnn.data.Data(BATCH, BATCH), epochs=1, batch_size=10, key=0)


@cache
def state() -> train.TrainState:
    return train.init_state(plain(), 0, BATCH)


def batch(value: Any, **more: Any) -> Any:
    """Data of a run; an error names the part and the leaf."""
    return tree(value, called=("x", "y", "train", "inputs", "batch"), **more)


def on_devices(value: Any) -> Any:
    return anything(
        value, lambda o: all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(o))
    )


def sequence(value: Any, **more: Any) -> Any:
    return anything(
        value, lambda o: o in ((), []) if isinstance(o, (tuple, list)) else False, **more
    )


def shaped(value: Any) -> bool:
    return all(is_array(leaf) for leaf in jax.tree.leaves(value))


def names(value: Any) -> Any:
    return anything(
        value, lambda o: isinstance(o, (tuple, list)) and all(isinstance(name, str) for name in o)
    )


def _recipes() -> list[Row]:
    arguments = {
        "model": only(nn.MLP((2,))),
        "loss": function(losses.softmax_cross_entropy),
        "optimizer": only(optim.sgd(0.1)),
        "regularizer": function(regularizers.l2(0.1), none=True),
        "augmentation": function(jaxnn.data.augment.noise(0.1), none=True),
        "metrics": mapping({"accuracy": metrics.accuracy}, callable, none=True),
        "objective": anything(None, lambda o: o is None, skip=("function", "class")),
        "controllers": sequence((train.plateau(),), called=("controller",)),
        "average": only(optim.parameter_average(0.9), none=True),
        "skip_nonfinite": integer(3, none=True, huge=True),
        "rngs": names(("dropout",)),
        "compute_dtype": anything(jnp.bfloat16, lambda o: o is None),
        "remat": flag(False),
    }
    return [row("Recipe", lambda made: None, **arguments)]


def _controllers() -> list[Row]:
    def watched(controller: Any) -> Any:
        memory = controller.init(state())
        memory, after = controller.update(memory, state(), jnp.float32(0.5))
        return controller.finish(memory, after).params

    monitor = {"monitor": text("val/loss"), "mode": choice("min", "max", none=True)}
    factor, patience = knob(0.5, "[0, 1]"), integer(2, 0)
    relative = {"rtol": knob(0.1, NOT_NEGATIVE), "atol": knob(0.0, NOT_NEGATIVE)}
    return [
        row("train.keep_best", watched, min_delta=knob(0.1, NOT_NEGATIVE), **monitor),
        row(
            "train.stop_when",
            watched,
            monitor=text("train/loss"),
            below=knob(0.1, none=True),
            above=knob(3.0, none=True),
            patience=integer(2),
        ),
        row(
            "train.early_stopping",
            watched,
            patience=patience,
            min_delta=knob(0.1, NOT_NEGATIVE),
            baseline=knob(0.5, none=True),
            counting=choice("keras", "pytorch"),
            **monitor,
        ),
        row(
            "train.plateau",
            watched,
            factor=factor,
            patience=patience,
            cooldown=integer(1, 0),
            min_scale=knob(0.1, NOT_NEGATIVE),
            counting=choice("optax", "pytorch", "keras"),
            accumulation_size=integer(2),
            **monitor,
            **relative,
        ),
        row("train.halve_on_rise", watched, factor=factor, **monitor),
        row(
            "train.halve_and_go_back",
            watched,
            factor=factor,
            patience=patience,
            **monitor,
            **relative,
        ),
    ]


def _steps() -> list[Row]:
    recipe, start = only(plain()), only(state())
    return [
        row(
            "train.init_state",
            slow=True,
            recipe=recipe,
            key=key(0),
            batch=batch(BATCH, also=shaped),  # its numbers are not looked at
            knobs=tree(None, none=True, also=is_number),
        ),
        row(
            "train.train_step",
            lambda made: made[1],
            slow=True,
            recipe=recipe,
            state=start,
            batch=batch(BATCH),
            accumulate=integer(2, huge=True),
        ),
        row(
            "train.eval_step",
            slow=True,
            recipe=recipe,
            state=start,
            batch=batch(BATCH),
            index=integer(0, 0, huge=True),
        ),
        row(
            "train.predict_step",
            slow=True,
            recipe=recipe,
            state=start,
            inputs=array(
                BATCH["x"], also=is_array, called=("x",)
            ),  # a model may take complex numbers
        ),
        row(
            "train.pmap_step",
            slow=True,
            recipe=only(plain(), skip=("function", "class")),  # each may be a make_recipe
            accumulate=integer(1, huge=True),
            fold_device_index=flag(True),
        ),
        row("train.bytes_per_device", tree=on_devices({"w": jnp.ones(3)})),
        row("train.device_names"),
        Row(
            "train.use_compilation_cache",
            {"folder": anything(Path("/tmp"), lambda o: isinstance(o, str), skip=("'no'", "'('"))},
            _without_effect(train.use_compilation_cache),
        ),
        Row(
            "train.distributed.start",
            {
                "coordinator": text("10.0.0.1:1234"),
                "processes": integer(2, huge=True),
                "process": integer(0, 0, 1, huge=True),
            },
            _without_effect(train.distributed.start),
        ),
        row("train.distributed.is_first"),
        row("train.distributed.any_process", flag=flag(True)),
        row("train.distributed.wait_for_all", what=text("here")),
        row(
            "train.unused_accelerator", dev=anything(Path("/nowhere"), lambda o: isinstance(o, str))
        ),
    ]


def _without_effect(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function without what it does to the process."""

    def call(**values: Any) -> None:
        with (
            mock.patch.object(type(jax.config), "update"),
            mock.patch.object(jax.distributed, "initialize"),
        ):
            function(**values)

    return call


def rows() -> list[Row]:
    return [*_recipes(), *_controllers(), *_steps()]
