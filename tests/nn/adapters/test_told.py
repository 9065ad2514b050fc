"""Models that need their mode: told by any known keyword, or refused with the way to tell them."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxnn.keys import Keys
from jaxnn.nn import MLP, BatchNorm, Dropout, StochasticPool, as_functional, from_nnx
from jaxnn.nn.modes import MODES

KEY = jax.random.key(0)
KEYS = Keys(KEY, jnp.int32(0))
X = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) + 3


class Known(nn.Module):
    """Batch statistics and dropout, told by whatever keyword the class below has."""

    @nn.compact
    def work(self, x, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        return nn.Dropout(0.5, deterministic=not train)(x)


def known_by(name):
    scope = {"Known": Known}
    value = f"{name}" if MODES[name] else f"not {name}"
    exec(  # one class for each keyword, with the wrong mode as its default
        f"class Told(Known):\n    def __call__(self, x, {name}={not MODES[name]}):\n"
        f"        return self.work(x, {value})",
        scope,
    )
    return scope["Told"]()


@pytest.mark.parametrize("name", MODES)
def test_a_mode_of_any_known_name(name):
    model = as_functional(known_by(name))
    params, state = model.init(KEY, X)
    y, moved = model.apply(params, state, X, train=True, keys=KEYS, weight=None)
    assert 0 < np.count_nonzero(y) < y.size
    assert abs(np.asarray(moved["batch_stats"]["BatchNorm_0"]["mean"])).min() > 0.5
    y, kept = model.apply(params, state, X, train=False, keys=KEYS, weight=None)
    assert np.count_nonzero(y) == y.size and kept is state


class Statistics(nn.Module):
    @nn.compact
    def __call__(self, x, use_average=True):
        return nn.BatchNorm(use_running_average=use_average)(x)


class Noise(nn.Module):
    @nn.compact
    def __call__(self, x, learns=False):
        return nn.Dropout(0.5)(x, deterministic=not learns)


class Inside(nn.Module):
    """Its submodules keep their own default."""

    layer: nn.Module

    @nn.compact
    def __call__(self, x):
        return self.layer(x)


UNTOLD = {
    "statistics": (Statistics(), r"Statistics has batch statistics \(BatchNorm_0\), but cannot"),
    "noise": (Noise(), r"Noise draws in training \(Dropout_0\).*learns=False.*`is_training`"),
    "our statistics": (Inside(BatchNorm()), r"has batch statistics \(layer\)"),
    "our dropout": (Inside(Dropout(0.5)), r"draws in training \(layer\)"),
    "our model": (Inside(MLP((3, 2), dropout_rate=0.5)), "draws in training"),
    "a fixed mode": (Inside(nn.Dropout(0.5, deterministic=True)), "draws in training"),
    "attention": (
        Inside(nn.MultiHeadDotProductAttention(2, dropout_rate=0.1, deterministic=True)),
        "draws in training",
    ),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_a_linen_module_that_cannot_be_told_is_refused(name):
    model, message = UNTOLD[name]
    with pytest.raises(ValueError, match=f"^model: .*{message}"):
        jax.eval_shape(as_functional(model).init, KEY, X)


def test_stochastic_pooling_needs_the_mode_too():
    with pytest.raises(ValueError, match="draws in training"):
        as_functional(Inside(StochasticPool(2))).init(KEY, jnp.ones((2, 4, 4, 1)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dense(3),
        nn.LayerNorm(),
        nn.Dropout(0.0, deterministic=True),
        nn.MultiHeadDotProductAttention(2),
        MLP((3, 2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_model_that_needs_no_mode_needs_no_keyword(layer):
    model = as_functional(Inside(layer))
    params, state = model.init(KEY, X)
    trained, moved = model.apply(params, state, X, train=True, keys=KEYS, weight=None)
    evaluated, _ = model.apply(params, state, X, train=False, keys=KEYS, weight=None)
    np.testing.assert_array_equal(trained, evaluated)
    assert not jax.tree.leaves(moved)


class Net(nnx.Module):
    def __init__(self, rngs, rate=0.5):
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)


class FixedStatistics(Net):
    def __call__(self, x, use_average=True):
        return self.norm(x, use_running_average=use_average)


class FixedDropout(Net):
    def __call__(self, x, learns=False):
        return self.drop(self.norm(x), deterministic=not learns)


class NeedsNothing(Net):
    def __call__(self, x):
        return self.drop(self.norm(x))


def test_an_nnx_module_that_does_not_notice_its_mode_is_refused():
    def train(make):
        model = from_nnx(make)
        state = model.init(KEY, X)
        return jax.eval_shape(
            lambda x: model.apply(*state, x, train=True, keys=KEYS, weight=None), X
        )

    with pytest.raises(ValueError, match="leaves its running statistics as it is in training"):
        train(lambda rngs: FixedStatistics(rngs, rate=0.0))
    with pytest.raises(ValueError, match="leaves its dropout drop as it is in training"):
        train(FixedDropout)
    train(NeedsNothing)


def test_a_pair_whose_mode_has_an_unknown_name_is_refused():
    def apply(params, x, key, learns=False):
        return x

    with pytest.raises(TypeError, match="`learns` would always be False"):
        as_functional((lambda key, x: {}, apply))
    as_functional((lambda key, x: {}, lambda params, x, learns=False: x))  # draws nothing


def test_streams_are_a_tuple_of_names():
    with pytest.raises(TypeError, match="rngs must be a tuple of names of streams, got 'dropout'"):
        as_functional(nn.Dense(3), rngs="dropout")
