"""Every float that a factory of optimizers, schedules, controllers or regularizers takes.

They are found by the signatures, and each must be a case of `vmap` against a loop, in the tables
of optimizers and schedules or in this file. So a new knob without a case fails here.
"""

from __future__ import annotations

import functools
import inspect
import typing

import jax
import jax.numpy as jnp
import numpy as np
import optimizer_table
import pytest
import schedule_table
from closeness import assert_leaves_close

import jaxnn
from jaxnn import optim, regularizers, train
from jaxnn.optim import schedules


def is_controller(kind):
    """Whether objects of this class have a controller's methods."""
    return all(hasattr(kind, method) for method in ("init", "update", "finish"))


# Factories of controllers, by what they return: a new one needs cases here at once.
CONTROLLERS = tuple(
    name
    for name in train.__all__
    if inspect.isfunction(factory := getattr(train, name))
    and is_controller(typing.get_type_hints(factory).get("return"))
)
PLACES = {
    "optim": (optim, optim.__all__),
    "schedules": (schedules, schedules.__all__),
    "train": (train, CONTROLLERS),
    "regularizers": (regularizers, regularizers.__all__),
}
FLOATS = ("Knob", "Number", "float")


def knobs_of(place):
    """(place, factory, parameter) of every float that the factories there take."""
    module, names = PLACES[place]
    return {
        (place, name, parameter.name)
        for name in names
        if inspect.isfunction(getattr(module, name))
        for parameter in inspect.signature(getattr(module, name)).parameters.values()
        if any(word in str(parameter.annotation) for word in FLOATS)
    }


ALL = set().union(*(knobs_of(place) for place in PLACES))


def in_the_tables():
    """What the tables of optimizers and schedules map, over a loop, by the same triples."""
    for row in optimizer_table.TABLE:
        factory = row.factory
        while isinstance(factory, functools.partial):
            factory = factory.func
        for name in {factory.__name__, row.name, *row.covers}:
            for knob in row.knobs:
                yield "optim", name, knob
    for row in schedule_table.TABLE:
        for name in {row.name, *row.covers}:
            for key, constant in row.constants.items():
                for knob in {key, constant.called or key}:
                    yield "schedules", name, knob


# Values of each, and what else the controller is told so that they make a difference.
CONTROLLED = {
    ("plateau", "factor"): ((0.1, 0.5), {"patience": 1}),
    ("plateau", "rtol"): ((0.0, 0.5), {"patience": 1}),
    ("plateau", "atol"): ((0.0, 0.5), {"patience": 1}),
    ("plateau", "min_scale"): ((0.0, 0.4), {"patience": 1, "factor": 0.1}),
    ("halve_on_rise", "factor"): ((0.1, 0.5), {}),
    ("halve_and_go_back", "factor"): ((0.1, 0.5), {}),
    ("halve_and_go_back", "rtol"): ((0.0, 0.5), {}),
    ("halve_and_go_back", "atol"): ((0.0, 0.5), {}),
    ("early_stopping", "min_delta"): ((0.0, 0.5), {"patience": 1}),
    ("early_stopping", "baseline"): ((0.5, 2.0), {"patience": 3}),
    ("keep_best", "min_delta"): ((0.0, 0.5), {}),
    ("stop_when", "below"): ((0.75, 0.95), {"monitor": "val/loss"}),
    ("stop_when", "above"): ((0.95, 1.5), {"monitor": "val/loss"}),
}
LOSSES = jnp.array([1.0, 0.8, 0.9, 0.7, 0.9, 0.69])


def mapped_and_looped(outcome, values):
    both = jax.jit(lambda values: (jax.vmap(outcome)(values), jax.lax.map(outcome, values)))
    together, looped = jax.device_get(both(jnp.asarray(values, jnp.float32)))
    for i in range(len(values)):
        mapped, alone = (jax.tree.map(lambda x, i=i: x[i], tree) for tree in (together, looped))
        assert_leaves_close(mapped, alone, 1e-6)
    assert any(np.ptp(leaf, axis=0).any() for leaf in jax.tree.leaves(together)), "no effect"


@functools.cache
def start():
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((1,)), jaxnn.losses.squared_error, optim.sgd(0.1))
    with jax.ensure_compile_time_eval():
        return train.init_state(recipe, 0, {"x": jnp.ones((1, 2))})


@pytest.mark.parametrize(("name", "knob"), CONTROLLED)
def test_controllers(name, knob):
    values, more = CONTROLLED[name, knob]

    def outcome(value):
        controller, state = getattr(train, name)(**{**more, knob: value}), start()
        memory, seen = controller.init(state), []
        for loss in LOSSES:
            memory, state = controller.update(memory, state, loss)
            seen.append((state.control.scale, state.control.stop.astype(jnp.float32)))
        return seen, memory

    mapped_and_looped(outcome, values)


# The bare rule, which the controller and `reduce_on_plateau` apply.
RULE = {
    "factor": ((0.1, 0.5), {}),
    "rtol": ((0.0, 0.5), {}),
    "atol": ((0.0, 0.5), {}),
    "min_scale": ((0.0, 0.4), {"factor": 0.1}),
}


@pytest.mark.parametrize("knob", RULE)
def test_plateau_rule(knob):
    values, more = RULE[knob]

    def outcome(value):
        rule = optim.plateau_rule(patience=1, **{**more, knob: value})
        state, scales = rule.init(), []
        for loss in LOSSES:
            state = rule.update(state, loss)
            scales.append(state.scale)
        return scales

    mapped_and_looped(outcome, values)


@pytest.mark.parametrize("warmup", [False, True])
def test_parameter_average(warmup):
    def outcome(decay):
        average = optim.parameter_average(decay, warmup=warmup)
        tree = average.init({"w": jnp.zeros(2)})
        for count in range(20):
            new = {"w": jnp.asarray([1.0, count])}
            tree = average.update(tree, new, jnp.int32(count))
        return tree

    mapped_and_looped(outcome, (0.0, 0.3, 0.9))


def test_lookahead_params():
    params = {"w": jnp.asarray([1.0, -2.0])}
    tx = optim.nesterov(0.1)
    _, state = tx.update(params, tx.init(params), params)
    mapped_and_looped(
        lambda scale: optim.lookahead_params(params, state, rate_scale=scale), (0.0, 0.5, 1.0)
    )


# What a regularizer takes beside its floats, and how it takes them.
OTHERS = {"per_layer": {"regularizer": regularizers.l2}}
TAKES = {"per_layer": lambda strength: {"kernel": strength, "bias|kernel": 0.1}}


@pytest.mark.parametrize(
    ("name", "knob"), [(name, knob) for _, name, knob in sorted(knobs_of("regularizers"))]
)
def test_regularizers(name, knob):
    """By the signatures, so that a new one is here at once."""
    floats = {k for _, factory, k in knobs_of("regularizers") if factory == name}
    params = {"kernel": jnp.asarray([[3.0, -4.0]]), "bias": jnp.asarray([5.0, 1.0])}

    def outcome(value):
        take = TAKES.get(name, lambda strength: strength)
        strengths = dict.fromkeys(floats, 0.1) | {knob: take(value)}
        penalty = getattr(regularizers, name)(**strengths, **OTHERS.get(name, {}))
        return jax.value_and_grad(penalty)(params)

    mapped_and_looped(outcome, (0.0, 1e-3, 0.5))


HERE = {
    *(("train", *key) for key in CONTROLLED),
    *(("optim", "plateau_rule", knob) for knob in RULE),
    ("optim", "parameter_average", "decay"),
    ("optim", "lookahead_params", "rate_scale"),
    *knobs_of("regularizers"),
}


def test_every_controller_has_a_case():
    assert {name for name, _ in CONTROLLED} == set(CONTROLLERS)


def test_every_knob_has_a_case_of_vmap():
    missing = ALL - set(in_the_tables()) - HERE
    assert not missing, f"no case of vmap for {sorted(missing)}"
    unknown = HERE - ALL
    assert not unknown, f"cases of what is no knob any more: {sorted(unknown)}"


def test_the_search_for_knobs_finds_them():
    """Otherwise the test above would pass on nothing."""
    assert ("optim", "adam", "b1") in ALL and ("schedules", "cosine", "alpha") in ALL
    assert ("train", "plateau", "atol") in ALL and ("regularizers", "l2", "strength") in ALL
    assert set(CONTROLLERS) >= {"early_stopping", "halve_and_go_back", "halve_on_rise", "plateau"}
