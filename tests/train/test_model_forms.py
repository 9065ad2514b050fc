"""What a Linen model can do in training, a model of any other form can."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close
from flax import nnx

import jaxnn
from jaxnn.describe import describe
from jaxnn.nn import dropout
from jaxnn.nn.adapters.forms import from_nnx
from jaxnn.nn.adapters.functional import Functional
from jaxnn.train import init_state, load, train_step


class Net(nnx.Module):
    def __init__(self, rngs, features=5, rate=0.3):
        # The bias would have no gradient before a normalization.
        self.Dense_0 = nnx.Linear(features, 16, use_bias=False, rngs=rngs)
        self.BatchNorm_0 = nnx.BatchNorm(16, rngs=rngs)
        self.Dense_1 = nnx.Linear(16, 3, rngs=rngs)
        self.rngs = rngs
        self.rate = rate

    def __call__(self, x, *, train):
        x = nnx.relu(self.BatchNorm_0(self.Dense_0(x)))
        if train and self.rate is not None:
            x = dropout(self.rngs.dropout(), x, self.rate)
        return self.Dense_1(x)


class Twin(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Dense(16, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(3)(x)


def init_pair(key, x):
    first, second = jax.random.split(key)
    return {
        "Dense_0": {
            "kernel": 0.5 * jax.random.normal(first, (x.shape[-1], 16)),
            "bias": jnp.zeros(16),
        },
        "Dense_1": {"kernel": 0.3 * jax.random.normal(second, (16, 3)), "bias": jnp.zeros(3)},
    }


def dense(layer, x):
    return jnp.matmul(x, layer["kernel"]) + layer["bias"][None]


def pair(rate):
    def apply(params, x, *, key, train):
        x = jax.nn.relu(dense(params["Dense_0"], x))
        x = dropout(key, x, rate) if train and rate is not None else x
        return dense(params["Dense_1"], x)

    return init_pair, apply


def centred():
    """A pair with a state: the running mean of its inputs, which it subtracts."""
    init, apply = pair(0.3)

    def init_with_state(key, x):
        return init(key, x), {"mean": jnp.zeros(x.shape[-1])}

    def apply_with_state(params, state, x, key, train):
        mean = x.mean(0) if train else state["mean"]
        outputs = apply(params, x - mean[None], key=key, train=train)
        return outputs, {"mean": 0.9 * state["mean"] + 0.1 * mean}

    return init_with_state, apply_with_state


FORMS = {"nnx": lambda: from_nnx(Net), "pair": lambda: pair(0.3), "pair with state": centred}


def recipe_of(model, rate=0.1, **parts):
    return jaxnn.Recipe(
        model=model,
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.momentum(rate, 0.9),
        regularizer=jaxnn.regularizers.l2(1e-3, mask="Dense_1/kernel"),
        **parts,
    )


@pytest.mark.parametrize(
    "form", ["nnx", pytest.param("pair", marks=pytest.mark.slow), "pair with state"]
)
def test_a_resumed_run_has_the_same_bits(form, tiny, tmp_path, same_bits):
    recipe = recipe_of(FORMS[form](), average=jaxnn.optim.parameter_average(0.9, evaluate=False))
    arguments = {"batch_size": 32, "key": 1}
    straight = jaxnn.fit(recipe, tiny, epochs=8, **arguments)
    jaxnn.fit(recipe, tiny, epochs=3, folder=tmp_path / "run", **arguments)
    resumed = jaxnn.fit(recipe, tiny, epochs=8, resume=tmp_path / "run", **arguments)
    same_bits(resumed.state, straight.state)

    loss = straight.history.series("val/loss")
    assert loss[-1] < 0.8 * loss[0]
    loaded = load(tmp_path / "run", recipe)
    x = tiny.val["x"]
    same_bits(loaded.predict(x), straight.predict(x))
    accuracy = np.mean(loaded.predict(x).argmax(-1) == tiny.val["y"])
    assert loaded.evaluate(tiny.val)["accuracy"] == pytest.approx(accuracy)


def test_runs_equal_those_of_linen_twins(tiny):
    """From the same parameters, over the same batches, to the same end."""
    rows = np.arange(320).reshape(10, 32) % 70
    batches = jax.tree.map(lambda leaf: leaf[rows], tiny.train)

    def run(model, params=None):
        recipe = recipe_of(model)

        @jax.jit
        def steps(params):
            state = init_state(recipe, 0, {"x": tiny.train["x"][:1]})
            start = state.params if params is None else params
            step = lambda state, batch: train_step(recipe, state, batch)  # noqa: E731
            state, _ = jax.lax.scan(step, state.replace(params=start), batches)
            return start, state.params, state.model_state

        return steps(params)

    for model, twin in (
        (from_nnx(lambda rngs: Net(rngs, rate=None)), Twin()),
        (pair(None), jaxnn.nn.MLP((16, 3))),
    ):
        start, *ours = run(model)
        _, params, model_state = run(twin, start)
        assert_leaves_close(ours, [params, model_state.get("batch_stats", {})], 1e-6)


def make_nnx(knobs):
    model = from_nnx(lambda rngs: Net(rngs, rate=knobs["dropout"]))
    return recipe_of(model, knobs["lr"])


def make_pair(knobs):
    return recipe_of(pair(knobs["dropout"]), knobs["lr"])


@pytest.mark.parametrize("maker", [make_nnx, pytest.param(make_pair, marks=pytest.mark.slow)])
def test_knobs_are_axes_of_vmap(maker, tiny):
    batch = jax.tree.map(lambda leaf: leaf[:20], tiny.train)
    knobs = {"lr": jnp.array([0.1, 0.01]), "dropout": jnp.array([0.1, 0.6])}

    def step(knobs):
        state, metrics = train_step(maker, init_state(maker, 0, batch, knobs), batch)
        return state.params, state.model_state, metrics

    alone = jax.jit(step)
    expected = [alone(jax.tree.map(lambda knob: knob[i], knobs)) for i in range(2)]  # noqa: B023
    together = jax.jit(jax.vmap(step))(knobs)
    for i in range(2):
        mine = jax.tree.map(lambda leaf: leaf[i], together)  # noqa: B023
        assert_leaves_close(mine, expected[i], 1e-6)


def test_a_model_is_told_the_weights_of_ragged_batches(tiny):
    """The rows of an epoch are counted by a model, in its state; 70 of them in parts of 16."""

    def apply(params, model_state, inputs, *, train, keys, weight):
        seen = jnp.sum(weight) if train else 0.0
        return dense(params["Dense_1"], inputs), {"seen": model_state["seen"] + seen}

    def init(key, x):
        kernel = jax.random.normal(key, (x.shape[-1], 3))
        layer = {"kernel": kernel, "bias": jnp.zeros(3)}
        return {"Dense_1": layer}, {"seen": jnp.zeros(())}

    recipe = recipe_of(Functional(init, apply, takes_weight=True))
    run = jaxnn.fit(recipe, tiny, epochs=3, batch_size=32, accumulate=2, key=0)
    assert run.state.model_state["seen"] == 3 * 70


def test_weights_are_none_where_a_batch_has_none(tiny):
    weights = []

    def apply(params, x, *, weight):
        weights.append(weight)
        return dense(params["Dense_1"], dense(params["Dense_0"], x))

    recipe = recipe_of((init_pair, apply))
    state = init_state(recipe, 0, tiny.train)
    jax.eval_shape(lambda state: train_step(recipe, state, tiny.train), state)
    assert weights and set(weights) == {None}


def test_descriptions_tell_models_apart():
    one, other = (describe(recipe_of(pair(rate)).model) for rate in (0.1, 0.2))
    assert one != other
    one, other = (
        describe(from_nnx(lambda rngs, width=width: Net(rngs, width))) for width in (5, 6)
    )
    assert one != other
    assert "…" not in str(one)


@pytest.mark.slow
def test_an_nnx_model_learns_digits(digits):
    recipe = recipe_of(from_nnx(lambda rngs: Digits(rngs)), 0.05)
    run = jaxnn.fit(recipe, digits, epochs=15, batch_size=64, key=0)
    assert run.evaluate(digits.test)["accuracy"] > 0.95


class Digits(Net):
    def __init__(self, rngs):
        super().__init__(rngs, 64)
        self.Dense_1 = nnx.Linear(16, 10, rngs=rngs)
