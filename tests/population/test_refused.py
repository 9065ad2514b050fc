"""What a population cannot take is refused by name, before anything is compiled."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from crowd import knobs, make_recipe

import jaxnn
from jaxnn.population import (
    exploit_and_explore,
    fit_population,
    fit_populations,
    successive_halving,
)

GOOD = knobs((1, 2, 4))


def changed(**others):
    return {**GOOD, **others}


def wide(knobs):
    return jaxnn.Recipe(
        jaxnn.nn.MLP((int(knobs["width"]), 3)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(0.1),
    )


def branching(knobs):
    return jaxnn.Recipe(
        jaxnn.nn.MLP((4, 3), dropout_rate=None if knobs["dropout"] == 0 else knobs["dropout"]),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(0.1),
    )


@pytest.mark.parametrize(
    ("maker", "values", "settings", "message"),
    [
        (make_recipe, changed(lr=np.ones(2)), {}, "arrays of one length.*'lr': 2"),
        (make_recipe, changed(lr=np.ones((3, 1))), {}, "lr must be a number or an array"),
        (make_recipe, changed(lr=[0.1, np.nan, 0.1]), {}, "lr of member 1 must be finite"),
        (make_recipe, changed(b1=[0.9, 0.9, 1.5]), {}, r"knobs of member 2 \(.*b1 1.5.*b1 must"),
        (make_recipe, changed(momentum=0.9), {}, "does not read.*momentum"),
        (
            make_recipe,
            {name: column for name, column in changed(ler=0.1).items() if name != "lr"},
            {},
            "reads the knob 'lr'.*did you mean 'ler'",
        ),
        (wide, {"width": [4, 8]}, {}, r"int\(knobs\[\"width\"\]\).*fit_populations"),
        (branching, {"dropout": [0.1, 0.0]}, {}, "test_refused.py:.*fit_populations"),
        (make_recipe, dict.fromkeys(GOOD, 0.1), {}, "at least one member"),
        (make_recipe, changed(lr=np.ones(0)), {}, "one length"),
        (make_recipe, GOOD, {"keys": [1, 2]}, "'keys': 2"),
        (make_recipe, changed(epochs=3), {}, "must not be called.*epochs"),
        (make_recipe, GOOD, {"keys": "abc"}, "keys must be one key a member"),
        (make_recipe, GOOD, {"own_batches": True}, "own_batches goes with keys="),
        (make_recipe, GOOD, {"shrink": successive_halving(2, first=9)}, "rung behind epoch 9"),
        (make_recipe, GOOD, {"evolve": exploit_and_explore(every=9)}, "rung behind epoch 9"),
        (make_recipe, GOOD, {"shrink": "halving"}, "shrink must be a rule"),
        (
            make_recipe,
            GOOD,
            {"shrink": successive_halving(2, monitor="val/nothing")},
            "mode must be given.*val/nothing",
        ),
        (make_recipe, GOOD, {"cohort": 0}, "cohort"),
        (make_recipe, GOOD, {"devices": 99}, "devices must be at most"),
        (make_recipe, GOOD, {"devices": {"data": 2}}, "members"),
        (make_recipe(dict.fromkeys(GOOD, 0.1)), GOOD, {}, "make_recipe must be a function"),
    ],
)
def test_refused(tiny, compiles_nothing, maker, values, settings, message):
    settings = {"epochs": 3, "batch_size": 16, "key": 0, **settings}
    with compiles_nothing, pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        fit_population(maker, values, tiny, **settings)


@pytest.fixture
def compiles_nothing(monkeypatch):
    from jaxnn.train.loop import loop

    def refuse(*arguments):
        raise AssertionError("a step was launched")

    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_chunk", refuse)
        yield patched.context()


def test_keys_of_another_kind_of_draws(tiny):
    keys = jax.random.split(jax.random.key(0), 3)
    with pytest.raises(ValueError, match="one length"):
        fit_population(make_recipe, GOOD, tiny, keys=keys[:2], epochs=1, batch_size=16, key=0)


@pytest.mark.parametrize("groups", [[], [(make_recipe,)], [(make_recipe, GOOD, 3)], "groups"])
def test_groups_are_pairs(tiny, groups):
    with pytest.raises(TypeError, match="groups must"):
        fit_populations(groups, tiny, epochs=1, batch_size=16, key=0)
