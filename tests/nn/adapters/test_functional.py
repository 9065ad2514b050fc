"""Models of every form as two pure functions."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits, distance
from flax import nnx

from jaxnn.keys import Keys
from jaxnn.nn import MLP, dropout
from jaxnn.nn.adapters.forms import as_functional, from_nnx, takes_weight
from jaxnn.nn.adapters.functional import Functional

KEY = jax.random.key(0)
KEYS = Keys(KEY, jnp.int32(3))
X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def told(x, **keywords):
    """A model that hands back what it was told."""
    return {"inputs": x, **keywords}


# Signatures of `apply`, and what they are given in training beside params and inputs.
SIGNATURES = {
    "plain": (lambda params, x: told(x), {}),
    "train": (lambda params, x, train: told(x, mode=train), {"mode": True}),
    "training": (lambda params, x, *, training: told(x, mode=training), {"mode": True}),
    "is_training": (lambda p, x, is_training=None: told(x, mode=is_training), {"mode": True}),
    "deterministic": (lambda p, x, /, deterministic: told(x, mode=deterministic), {"mode": False}),
    "key": (lambda params, x, *, key: told(x, key=key), {"key": KEYS("model")}),
    "key before the inputs": (lambda p, rng, batch: told(batch, key=rng), {"key": KEYS("model")}),
    "weight": (lambda params, x, *, weight: told(x, weight=weight), {"weight": "weights"}),
    "all, others at their defaults": (
        lambda p, rng, x, scale=2, *, train, weight, **more: told(
            x, mode=train, key=rng, weight=weight, scale=scale, **more
        ),
        {"mode": True, "key": KEYS("model"), "weight": "weights", "scale": 2},
    ),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_pair_is_given_what_its_parameters_name(name):
    apply, expected = SIGNATURES[name]
    model = as_functional((lambda key, x: {"w": 1}, apply))
    assert model.init(KEY, X) == ({"w": 1}, {})
    run = partial(model.apply, {"w": 1}, {}, "inputs", keys=KEYS)
    assert run(train=True, weight="weights") == ({"inputs": "inputs", **expected}, {})
    off = {"mode": not expected.get("mode"), "key": None, "weight": None, "scale": 2}
    evaluated = {name: off[name] for name in expected}
    assert run(train=False, weight=None) == ({"inputs": "inputs", **evaluated}, {})
    assert model.takes_weight == ("weight" in expected)


def test_a_pair_with_state():
    """In the order and by the names of `haiku.transform_with_state`."""

    def init(rng, x, is_training):
        return {"w": (rng, x)}, {"count": int(is_training)}

    def apply(params, state, rng, x, is_training):
        return (params["w"], x), {"count": state["count"] + is_training}

    model = as_functional((init, apply))
    params, state = model.init("key", "x")
    assert (params, state) == ({"w": ("key", "x")}, {"count": 1})
    outputs, state = model.apply(params, state, "y", train=True, keys=KEYS, weight=None)
    assert (outputs, state) == ((("key", "x"), "y"), {"count": 2})


def test_a_linen_module_draws_from_its_streams():
    linen = MLP((16, 3), dropout_rate=0.5)
    model = as_functional(linen)
    params, state = model.init(KEY, X)
    assert state == {}
    assert_same_bits(params, linen.init(KEY, X)["params"])
    outputs, _ = model.apply(params, state, X, train=True, keys=KEYS, weight=None)
    rngs = {"dropout": KEYS("dropout")}
    assert_same_bits(outputs, linen.apply({"params": params}, X, train=True, rngs=rngs))
    outputs, _ = model.apply(params, state, X, train=False, keys=KEYS, weight=None)
    assert_same_bits(outputs, linen.apply({"params": params}, X))


class Weighted(nn.Module):
    @nn.compact
    def __call__(self, x, *, deterministic, weight=None):
        total = self.variable("seen", "weight", lambda: jnp.zeros(()))
        if not deterministic:
            total.value += x.shape[0] if weight is None else jnp.sum(weight)
        return x


def test_a_linen_module_is_told_the_weights_in_training():
    model = as_functional(Weighted())
    _, state = model.init(KEY, X)
    run = partial(model.apply, {}, state, X, keys=KEYS)
    assert run(train=True, weight=jnp.array([1.0, 0.5]))[1] == {"seen": {"weight": 1.5}}
    assert run(train=True, weight=None)[1] == {"seen": {"weight": 6.0}}
    assert run(train=False, weight=None)[1] == state


class Twin(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Dense(8)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(3)(x)


class Net(nnx.Module):
    """`Twin`, with Flax's names."""

    def __init__(self, rngs):
        self.Dense_0 = nnx.Linear(5, 8, rngs=rngs)
        self.BatchNorm_0 = nnx.BatchNorm(8, rngs=rngs)
        self.Dense_1 = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.Dense_1(nnx.relu(self.BatchNorm_0(self.Dense_0(x))))


def test_an_nnx_module_equals_its_linen_twin():
    linen, model = as_functional(Twin()), from_nnx(Net)
    params, theirs = linen.init(KEY, X)
    mine, state = model.init(KEY, X)
    assert jax.tree.structure(mine) == jax.tree.structure(params)
    assert jax.tree.structure(state) == jax.tree.structure(theirs["batch_stats"])
    for train in (True, False):
        expected, theirs = linen.apply(params, theirs, X, train=train, keys=KEYS, weight=None)
        outputs, state = model.apply(params, state, X, train=train, keys=KEYS, weight=None)
        assert distance(outputs, expected) < 1e-6
        for ours, other in zip(
            jax.tree.leaves(state), jax.tree.leaves(theirs["batch_stats"]), strict=True
        ):
            assert distance(ours, other) < 1e-6
    assert abs(np.asarray(state["BatchNorm_0"]["mean"])).min() > 0  # it has moved


class Noisy(nnx.Module):
    """Three streams: two layers of dropout in a list, and one that is called by hand."""

    def __init__(self, rngs):
        drops = [nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)]
        self.drops = nnx.List(drops) if hasattr(nnx, "List") else drops
        self.scale = nnx.Param(jnp.ones(()))
        self.rngs = rngs

    def __call__(self, x, *, train):
        a, b = (drop(x) for drop in self.drops)
        c = dropout(self.rngs.dropout(), x, 0.5) if train else x
        return jnp.stack([a, b, c]) * self.scale


@jax.jit
def noise(keys):
    model = from_nnx(Noisy)
    ones = jnp.ones((20, 50))
    return model.apply({"scale": 1.0}, {}, ones, train=True, keys=keys, weight=None)[0]


def test_streams_of_an_nnx_module_have_addresses():
    assert from_nnx(Noisy).init(KEY, X)[1] == {}  # no counter is carried
    masks = np.asarray(noise(KEYS))
    assert set(np.unique(masks)) == {0.0, 2.0}
    later, other_run, part = (
        np.asarray(noise(keys))
        for keys in (
            Keys(KEY, jnp.int32(4)),
            Keys(jax.random.key(1), jnp.int32(3)),
            Keys(KEY, jnp.int32(3)),
        )
    )
    np.testing.assert_array_equal(part, masks)
    independent = [*masks, *later, *other_run]
    for i, a in enumerate(independent):
        for b in independent[:i]:  # of 1000 fair coins
            assert abs(np.mean(a == b) - 0.5) < 5 * np.sqrt(0.25 / 1000)


def test_an_nnx_module_in_evaluation():
    apply = from_nnx(Noisy).apply
    outputs, _ = apply({"scale": 2.0}, {}, X, train=False, keys=KEYS, weight=None)
    np.testing.assert_array_equal(outputs, np.stack([2 * X] * 3))


class WeightedNet(nnx.Module):
    def __init__(self, rngs):
        self.seen = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x, *, weight=None):
        self.seen[...] += 0.0 if weight is None else jnp.sum(weight)
        self.noted = nnx.Intermediate(x)
        return x


def test_an_nnx_module_is_told_the_weights():
    model = from_nnx(WeightedNet)
    run = partial(model.apply, *model.init(KEY, X), X, keys=KEYS)
    # What is noted down for a look at it is no state, whose structure would change.
    assert run(train=True, weight=jnp.array([1.0, 0.5]))[1] == {"seen": 1.5}
    assert run(train=False, weight=None)[1] == {"seen": 0.0}


def test_which_models_take_weights():
    assert takes_weight(Weighted()) and takes_weight(from_nnx(WeightedNet))
    assert takes_weight(Functional(dict, dict, takes_weight=True))
    assert not any(map(takes_weight, (Twin(), from_nnx(Net), (lambda key, x: 0, lambda p, x: x))))


REFUSED = {
    "function": (
        lambda x: x,
        r"model must be a flax.linen.Module, a pair of functions \(init, app",
    ),
    "class": (MLP, r"model must be an instance, MLP\(…\), got the class MLP"),
    "NNX class": (Net, r"enters as jaxnn.nn.from_nnx\(lambda rngs: Net\(…, rngs=rngs\)\)"),
    "triple": ((MLP, MLP, MLP), "model must be a flax.linen.Module"),
    "starred": (
        (lambda key, x: 0, lambda params, *args: 0),
        r"apply must have the parameters params, inputs, and .*, got \(params, \*args\)",
    ),
    "unknown": ((lambda key, x: 0, lambda params, x, temperature: 0), "temperature.*a lambda"),
    "unknown of init": ((lambda key, x, state: 0, lambda p, x: 0), "init must .* key, inputs, and"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_of_no_known_form(name):
    model, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        as_functional(model)


def test_makers_of_something_else():
    with pytest.raises(TypeError, match=r"make must return an nnx.Module for nnx.Rngs, got a dict"):
        from_nnx(lambda rngs: {"w": rngs.params()})
    with pytest.raises(TypeError, match="from_nnx"):
        as_functional(Net(nnx.Rngs(0)))
