"""Objectives that are not supervised, inputs that are no single array, steps of one's own."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn
from jaxnn.metrics import weighted
from jaxnn.train import train_step


def test_an_autoencoder_on_the_digits(digits):
    """Targets are the inputs: an objective, and nothing else, is new."""

    def reconstruction(apply, params, model_state, batch, keys):
        noisy = batch["x"] + 0.1 * jax.random.normal(keys("noise"), batch["x"].shape)
        outputs, model_state = apply(params, model_state, noisy, keys)
        losses = jaxnn.losses.squared_error(outputs, batch["x"])
        return weighted(losses, batch["weight"]), model_state, {}

    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((32, 8, 32, 64), activation="tanh"),
        objective=reconstruction,
        optimizer=jaxnn.optim.adam(3e-3),
    )
    unlabelled = jaxnn.data.Data({"x": digits.train["x"]}, {"x": digits.val["x"]})
    run = jaxnn.fit(recipe, unlabelled, epochs=30, batch_size=64, key=0)
    errors = run.history.series("val/loss")
    # Eight principal components, the best linear code, leave this much of the variance.
    x, z = digits.train["x"], digits.val["x"]
    axes = np.linalg.svd(x, full_matrices=False)[2][:8]
    linear = np.mean((z - z @ axes.T @ axes) ** 2)
    assert errors[0] > 1.5 * linear
    assert errors[-1] < 1.1 * linear
    assert run.predict(z).shape == z.shape


class Tagger(nn.Module):
    """Tokens and their positions in, a class for each token out."""

    @nn.compact
    def __call__(self, inputs, *, deterministic):
        h = nn.Embed(6, 8)(inputs["tokens"]) + nn.Embed(9, 8)(inputs["positions"])
        h = nn.Dropout(0.1, deterministic=deterministic)(h)
        return nn.Dense(6)(h)


@pytest.fixture
def sentences():
    """Each token is its own class; what lies beyond the end of a sentence is of no weight."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 10, 50)
    tokens = rng.integers(0, 6, (50, 9)).astype(np.int32)
    weight = (np.arange(9)[None] < lengths[:, None]).astype(np.float32)
    positions = np.tile(np.arange(9, dtype=np.int32), (50, 1))
    labels = np.where(weight > 0, tokens, -1)
    return {"x": {"tokens": tokens, "positions": positions}, "y": labels, "weight": weight}


def test_dict_inputs_and_weights_per_token(sentences):
    recipe = jaxnn.Recipe(
        model=Tagger(),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(3e-2),
    )
    data = jaxnn.data.Data(sentences, sentences)
    run = jaxnn.fit(recipe, data, epochs=20, batch_size=16, key=0)
    assert run.history.series("val/accuracy")[-1] == 1.0
    # By hand: the mean over real tokens, whatever the batches.
    logits = run.predict(sentences["x"], batch_size=7).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    tokens, real = sentences["x"]["tokens"], sentences["weight"] > 0
    losses = -np.take_along_axis(log_p, tokens[..., None], -1)[..., 0]
    for batch_size in (7, 16, 50):
        value = run.evaluate(sentences, batch_size=batch_size)["loss"]
        np.testing.assert_allclose(value, losses[real].mean(), rtol=1e-5)


def test_a_batch_that_is_a_bare_array():
    def spread(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch, keys)
        return weighted(jnp.square(outputs[:, 0] - 3.0)), model_state, {}

    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((1,)), objective=spread, optimizer=jaxnn.optim.sgd(0.1)
    )
    x = np.ones((12, 2), np.float32)
    run = jaxnn.fit(recipe, x, epochs=20, batch_size=4, key=0)
    np.testing.assert_allclose(run.predict(x), np.full((12, 1), 3.0), rtol=1e-4)
    with pytest.raises(ValueError, match="batch_size must divide the 12 examples"):
        jaxnn.fit(recipe, x, epochs=1, batch_size=5, key=0)


def test_an_own_step_over_the_state_of_jaxnn(tiny, recipe, same_bits):
    calls = []

    def step(state, batch):
        calls.append(batch["weight"].shape)
        return train_step(recipe, state, batch)

    own = jaxnn.fit(recipe, tiny, epochs=3, batch_size=32, key=0, step=step)
    assert calls == [(32,)]  # traced, not run, in Python
    same_bits(own.state, jaxnn.fit(recipe, tiny, epochs=3, batch_size=32, key=0).state)


def test_an_own_step_over_a_state_of_ones_own(tiny, tmp_path, same_bits):
    """A hand-written Optax loop, with the compiled epochs, history and checkpoints of fit."""
    tx = optax.adam(0.05)
    weights = {"w": jnp.zeros((5, 3)), "b": jnp.zeros(3)}

    def step(state, batch):
        def loss(weights):
            logits = batch["x"] @ weights["w"] + weights["b"][None]
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
            return jnp.sum(losses * batch["weight"]) / jnp.sum(batch["weight"])

        value, grads = jax.value_and_grad(loss)(state["weights"])
        updates, opt = tx.update(grads, state["opt"], state["weights"])
        return {"weights": optax.apply_updates(state["weights"], updates), "opt": opt}, {
            "loss": (value * batch["weight"].sum(), batch["weight"].sum()),
            "largest": jnp.max(jnp.abs(grads["w"])),
        }

    start = {"weights": weights, "opt": tx.init(weights)}
    arguments = {"batch_size": 32, "key": 0, "step": step, "state": start}
    run = jaxnn.fit(None, tiny, epochs=20, **arguments)
    losses = run.history.series("train/loss")
    assert losses[-1] < 0.5 * losses[0]
    assert run.history.step_series("largest").shape == (60,)
    with pytest.raises(ValueError, match="predict needs a recipe"):
        run.predict(tiny.train["x"])

    jaxnn.fit(None, tiny, epochs=7, folder=tmp_path / "run", **arguments)
    resumed = jaxnn.fit(None, tiny, epochs=20, resume=tmp_path / "run", **arguments)
    same_bits(run.state, resumed.state)


def test_an_own_metric_that_is_neither_scalar_nor_pair_is_refused(tiny):
    def step(state, batch):
        return state, {"per_row": batch["x"]}

    with pytest.raises(TypeError, match="metric 'per_row' must be a scalar or a pair"):
        jaxnn.fit(None, tiny, epochs=1, batch_size=32, key=0, step=step, state={})


def test_foreign_optimizers_obey_the_scale_of_controllers(tiny):
    """plain Optax ignores the extra argument; the step scales its updates instead."""
    states = []
    for optimizer in (optax.sgd(0.1), jaxnn.optim.sgd(0.1)):
        recipe = jaxnn.Recipe(jaxnn.nn.MLP((3,)), jaxnn.losses.softmax_cross_entropy, optimizer)
        state = jaxnn.train.init_state(recipe, 0, tiny.train)
        halved = state.replace(control=state.control.replace(scale=jnp.float32(0.5)))
        full, _ = train_step(recipe, state, tiny.train)
        half, _ = train_step(recipe, halved, tiny.train)
        kernel = lambda s: s.params["Dense_0"]["kernel"]  # noqa: E731
        np.testing.assert_allclose(
            kernel(half) - kernel(state), (kernel(full) - kernel(state)) / 2, rtol=1e-5, atol=1e-8
        )
        states.append(half)
    np.testing.assert_allclose(kernel(states[0]), kernel(states[1]), rtol=1e-6)


def test_a_bare_array_is_evaluated_exactly_whatever_the_batch_size():
    def distance(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch, keys)
        return weighted(jnp.square(outputs[:, 0] - batch[:, 0])), model_state, {}

    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((1,)), objective=distance, optimizer=jaxnn.optim.sgd(0.0)
    )
    x = np.random.default_rng(0).normal(size=(602, 2)).astype(np.float32)
    x[0] = 100.0  # of which padding would be made
    run = jaxnn.fit(recipe, jaxnn.data.Data(x, x), epochs=1, batch_size=7, key=0)
    expected = np.mean((run.predict(x)[:, 0] - x[:, 0]) ** 2)
    for batch_size in (7, 100, 512, 602, 1000):
        value = run.evaluate(x, batch_size=batch_size)["loss"]
        assert value == pytest.approx(float(expected), rel=1e-5)
    assert run.history.series("val/loss")[0] == pytest.approx(float(expected), rel=1e-5)


def test_half_precision_counts_and_sums(tiny):
    """bfloat16 data and outputs; the sums of what they measure are float32."""
    data = {"x": jnp.asarray(tiny.train["x"], jnp.bfloat16), "y": tiny.train["y"]}

    class Half(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3, dtype=jnp.bfloat16)(x)

    recipe = jaxnn.Recipe(Half(), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1))
    run = jaxnn.fit(recipe, data, epochs=2, batch_size=32, key=0)
    values = jax.tree.map(lambda leaf: np.repeat(leaf, 20, 0), {**data, "x": tiny.train["x"]})
    metrics = run.evaluate({**values, "x": jnp.asarray(values["x"], jnp.bfloat16)})
    assert metrics["accuracy"] * 1400 == pytest.approx(round(metrics["accuracy"] * 1400), abs=1e-3)
    total, count = weighted(jnp.ones(359, jnp.bfloat16))
    assert (float(total), float(count)) == (359.0, 359.0)
    total, count = weighted(jnp.ones((512, 256), jnp.float16), jnp.ones(512, jnp.float16))
    assert (float(total), float(count)) == (131072.0, 131072.0)
