"""DropConnect: which weights are dropped, what is scaled, and where the draws come from."""

from __future__ import annotations

from functools import partial

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn.layers.dropout.dropconnect import DropConnect

KEY = jax.random.key(0)
RATE = 0.4


def numbers(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


PARAMS = {"kernel": numbers(20, 30), "bias": np.arange(30.0)}
X = numbers(5, 20)


# Compiled as a whole, since one by one the operations take longer to compile.
@partial(jax.jit, static_argnums=0)
def train(layer, params, x, key=KEY):
    return layer.apply({"params": params}, x, train=True, rngs={"dropout": key})


@partial(jax.jit, static_argnums=0)
def evaluate(layer, params, x):
    return layer.apply({"params": params}, x)


def weights(layer):
    """The weights of a training pass: what the unit vectors, as one batch, come to."""
    return np.asarray(train(layer, PARAMS, np.eye(20))) - PARAMS["bias"]


@pytest.mark.parametrize(("scale_at", "factor"), [("train", 1 / (1 - RATE)), ("test", 1.0)])
def test_weights_are_dropped_and_the_others_scaled(x64, scale_at, factor):
    w = weights(DropConnect(30, RATE, scale_at=scale_at))
    kept = np.abs(w) > 1e-12
    np.testing.assert_allclose(w[kept], factor * PARAMS["kernel"][kept], rtol=1e-9)
    assert abs(kept.mean() - (1 - RATE)) < 4 * np.sqrt(RATE * (1 - RATE) / kept.size)
    # Weights, not units: no row and no column has gone as a whole.
    assert kept.any(0).all() and kept.any(1).all() and not kept.all(0).any()


@pytest.mark.parametrize(("scale_at", "factor"), [("train", 1.0), ("test", 1 - RATE)])
def test_evaluation_takes_the_mean_over_all_masks(x64, scale_at, factor):
    layer = DropConnect(30, RATE, scale_at=scale_at)
    y = np.asarray(evaluate(layer, PARAMS, X))
    expected = X @ PARAMS["kernel"] * factor + PARAMS["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-11)
    keys = jax.random.split(KEY, 2000)
    drawn = np.asarray(jax.vmap(lambda key: train(layer, PARAMS, X, key))(keys))
    error = drawn.mean(0) - expected
    assert (np.abs(error) < 5 * drawn.std(0) / np.sqrt(2000)).all()


def test_one_mask_for_the_batch_or_one_for_each_example(x64):
    same = np.broadcast_to(numbers(20), (5, 3, 20))
    shared, each = (
        np.asarray(train(DropConnect(30, RATE, per_example=per_example), PARAMS, same))
        for per_example in (False, True)
    )
    np.testing.assert_allclose(shared, np.broadcast_to(shared[0, 0], shared.shape), rtol=1e-12)
    assert len({row.tobytes() for row in each.reshape(15, 30)}) == 15
    # Further examples change no mask of those before them.
    fewer = train(DropConnect(30, RATE, per_example=True), PARAMS, same[:4])
    np.testing.assert_allclose(fewer, each[:4], rtol=1e-12)


def test_masks_of_examples_are_independent(x64):
    """Of weights 1, 2, 4, …, a sum names its terms: which weights each example has."""
    powers = {"kernel": 2.0 ** np.arange(8)[:, None], "bias": np.zeros(1)}
    layer = DropConnect(1, 0.5, scale_at="test", per_example=True)
    y = np.asarray(train(layer, powers, np.ones((2000, 8))))
    bits = (y.astype(int) >> np.arange(8)[None]) & 1
    assert (np.abs(bits.mean(0) - 0.5) < 4 * np.sqrt(0.25 / 2000)).all()
    assert np.abs(np.corrcoef(bits.T) - np.eye(8)).max() < 5 / np.sqrt(2000)


@pytest.mark.parametrize("use_bias", [True, False])
def test_parameters_are_those_of_dense(use_bias):
    layer, dense = DropConnect(3, RATE, use_bias=use_bias), flax.linen.Dense(3, use_bias=use_bias)
    x = jnp.ones((2, 4))
    start, theirs = (jax.eval_shape(module.init, KEY, x) for module in (layer, dense))
    assert jax.tree.map(jnp.shape, start) == jax.tree.map(jnp.shape, theirs)
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.3), start)
    np.testing.assert_allclose(layer.apply(params, x), dense.apply(params, x), rtol=1e-6)


def test_the_gradient_reaches_the_kept_weights_alone(x64):
    layer = DropConnect(30, RATE)
    kept = np.abs(weights(layer)) > 1e-12
    slope = jax.jit(jax.grad(lambda p: train(layer, p, X).sum()))(PARAMS)
    expected = np.where(kept, X.sum(0)[:, None] / (1 - RATE), 0)
    np.testing.assert_allclose(slope["kernel"], expected, rtol=1e-12)
    np.testing.assert_array_equal(slope["bias"], 5.0)
