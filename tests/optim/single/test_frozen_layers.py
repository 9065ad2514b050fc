"""Frozen layers keep and use their running statistics, however the step is run."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import assert_leaves_close, assert_same_bits

import jaxnn
from jaxnn import optim
from jaxnn.train import init_state, train_step


class Net(nn.Module):
    """Batch normalization of jaxnn's and of Flax's, told by argument and by attribute."""

    frozen: bool = False  # written out by hand, what freezing is to do

    @nn.compact
    def __call__(self, x, train: bool = False):
        moves = train and not self.frozen
        x = jaxnn.nn.BatchNorm(name="ours")(nn.Dense(4, name="first")(x), train=moves)
        x = nn.BatchNorm(name="flax")(x, use_running_average=not moves)
        x = nn.BatchNorm(use_running_average=not moves, name="told")(x)
        x = jaxnn.nn.BatchNorm(name="free")(nn.relu(x), train=train)
        return nn.Dense(3, name="head")(x)


MASK = "first|ours|flax|told"
X = np.random.default_rng(0).normal(2.0, 3.0, size=(8, 5)).astype(np.float32)
BATCH = {"x": jnp.asarray(X), "y": jnp.arange(8) % 3}


def recipe(optimizer, frozen=False, **more):
    loss = jaxnn.losses.softmax_cross_entropy
    return jaxnn.Recipe(Net(frozen), loss, optimizer, **more)


def trained(recipe, accumulate=1, steps=3):
    step = jax.jit(partial(train_step, accumulate=accumulate), static_argnums=0)
    state = init_state(recipe, 0, BATCH)
    for _ in range(steps):
        state, _ = step(recipe, state, BATCH)
    return state


WAYS = {
    "plain": ({}, 1, lambda tx: tx),
    "accumulated": ({}, 2, lambda tx: tx),
    "remat": ({"remat": True}, 1, lambda tx: tx),
    "chained": ({}, 1, lambda tx: optax.chain(optim.clip_by_global_norm(1e3), tx)),
}


@pytest.mark.parametrize("way", WAYS)
def test_frozen_normalization_is_that_of_evaluation(way):
    """The same bits as a model whose frozen layers are written in their mode for evaluation."""
    more, accumulate, around = WAYS[way]
    tx = around(optim.freeze(MASK, optim.sgd(0.1)))
    state = trained(recipe(tx, **more), accumulate)
    by_hand = around(optim.freeze(MASK, optim.sgd(0.1), keep_statistics=False))
    expected = trained(recipe(by_hand, frozen=True, **more), accumulate)
    assert_leaves_close(state.params, expected.params, 1e-7)
    assert_leaves_close(state.model_state, expected.model_state, 1e-7)
    start = init_state(recipe(tx), 0, BATCH)
    stats = state.model_state["batch_stats"]
    for name in ("ours", "flax", "told"):
        assert_same_bits(stats[name], start.model_state["batch_stats"][name])
    assert np.abs(stats["free"]["mean"]).max() > 1e-3, "what is not frozen moves"


@pytest.mark.parametrize("devices", ["sharded", "pmap"])
def test_frozen_normalization_on_several_devices(devices):
    tx = optim.freeze("Dense_0|BatchNorm_0", optim.sgd(0.1))
    net = jaxnn.nn.MLP((4, 4, 3), normalization="batch")
    of = jaxnn.Recipe(net, jaxnn.losses.softmax_cross_entropy, tx)
    settings = {"epochs": 2, "batch_size": 8, "key": 1}
    stats = jaxnn.fit(of, BATCH, devices=devices, **settings).state.model_state["batch_stats"]
    alone = jaxnn.fit(of, BATCH, devices=1, **settings).state.model_state["batch_stats"]
    assert_same_bits(stats["BatchNorm_0"], {"mean": jnp.zeros(4), "var": jnp.ones(4)})
    assert_leaves_close(stats, alone, 1e-5)
    assert np.abs(stats["BatchNorm_1"]["mean"]).max() > 1e-3, "what is not frozen moves"


def test_statistics_may_follow_the_data():
    state = trained(recipe(optim.freeze(MASK, optim.sgd(0.1), keep_statistics=False)))
    start = init_state(recipe(optim.sgd(0.1)), 0, BATCH)
    assert_same_bits(state.params["ours"], start.params["ours"])
    assert np.abs(state.model_state["batch_stats"]["ours"]["mean"]).max() > 1e-3


def test_a_layer_is_frozen_if_all_its_parameters_are():
    state = trained(recipe(optim.freeze("ours/scale", optim.sgd(0.1))))
    assert np.abs(state.model_state["batch_stats"]["ours"]["mean"]).max() > 1e-3


def test_a_frozen_nnx_module():
    from flax import nnx

    class Pair(nnx.Module):
        def __init__(self, rngs):
            self.norm = nnx.BatchNorm(5, rngs=rngs)
            self.free = nnx.BatchNorm(5, rngs=rngs)
            self.head = nnx.Linear(5, 3, rngs=rngs)

        def __call__(self, x):
            return self.head(self.free(self.norm(x)))

    made = jaxnn.Recipe(
        jaxnn.nn.from_nnx(Pair),
        jaxnn.losses.softmax_cross_entropy,
        optim.freeze("norm", optim.sgd(0.1)),
    )
    state = trained(made)
    np.testing.assert_array_equal(state.model_state["norm"]["mean"], np.zeros(5))
    # Used, too: what is not frozen sees inputs that are not centred.
    moved = 1 - 0.99**3
    np.testing.assert_allclose(state.model_state["free"]["mean"], moved * X.mean(0), rtol=1e-3)


def test_a_line_search_has_the_function_that_a_step_minimizes():
    """L-BFGS in a step is L-BFGS in a loop of one's own, the penalty included."""
    penalty = jaxnn.regularizers.l2(0.1)
    made = jaxnn.Recipe(nn.Dense(1), jaxnn.losses.squared_error, optax.lbfgs(), regularizer=penalty)
    batch = {"x": BATCH["x"], "y": BATCH["x"] @ jnp.arange(5.0)[:, None]}
    state = init_state(made, 0, batch)
    step = jax.jit(train_step, static_argnums=0)
    params, tx = state.params, optax.lbfgs()
    own = tx.init(params)

    def value(params):
        outputs = nn.Dense(1).apply({"params": params}, batch["x"])
        return jaxnn.losses.squared_error(outputs, batch["y"]).mean() + penalty(params)

    start = value(params)
    for _ in range(5):
        loss, grad = jax.value_and_grad(value)(params)
        updates, own = tx.update(grad, own, params, value=loss, grad=grad, value_fn=value)
        params = optax.apply_updates(params, updates)
        state, _ = step(made, state, batch)
    assert_leaves_close(state.params, params, 1e-3)
    assert value(state.params) < 0.1 * start


def test_an_optimizer_that_asks_for_more_is_refused_in_one_line():
    def update(updates, state, params=None, *, hessian, **extra_args):
        return updates, state

    tx = optax.GradientTransformationExtraArgs(lambda params: (), update)
    made = recipe(optax.chain(optim.sgd(0.1), tx))
    with pytest.raises(TypeError, match=r"^optimizer must do with .* its update needs 'hessian'$"):
        train_step(made, init_state(made, 0, BATCH), BATCH)


def test_complex_parameters_descend():
    class Turn(nn.Module):
        @nn.compact
        def __call__(self, x):
            w = self.param("w", nn.initializers.zeros, (), jnp.complex64)
            return jnp.stack([w.real, w.imag])[None] + 0 * x[:, :2]

    made = jaxnn.Recipe(Turn(), jaxnn.losses.squared_error, optim.adam(0.1))
    batch = {"x": BATCH["x"], "y": jnp.tile(jnp.asarray([[3.0, -2.0]]), (8, 1))}
    state = init_state(made, 0, batch)
    step = jax.jit(train_step, static_argnums=0)
    for _ in range(300):
        state, _ = step(made, state, batch)
    np.testing.assert_allclose(state.params["w"], 3 - 2j, atol=0.05)
