"""The lectures' programs: their numbers against NumPy, and how they are called."""

from __future__ import annotations

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lectures import keras_mlp, tensorflow_line, theano_logistic
from jaxnn.data.batches import epoch_order

PROGRAMS = (
    "activation_statistics",
    "capacity",
    "optimizer_paths",
    "schedules",
    "theano_logistic",
    "tensorflow_line",
    "keras_mlp",
    "hypergradients",
)


def command(name, *options, cwd):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.lectures.{name}", *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_help_explains_every_option(tmp_path, name):
    result = command(name, "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    options = re.findall(r"^│ (--[\w.-]+)", result.stdout, re.M)
    assert len(options) >= 2
    text = " ".join(result.stdout.replace("│", " ").split())
    for option in options:
        explanation = text[text.index(f"{option} ") :].partition("(default")[0]
        assert len(explanation.split()) >= 4, f"{option} is not explained"
    assert f"python -m experiments.lectures.{name}" in text
    assert list(tmp_path.iterdir()) == []


def test_a_bad_value_is_one_clear_line(tmp_path):
    result = command("theano_logistic", "--learning-rate", "-1", "--steps", "1", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: learning_rate must be in [0, inf), got -1.0\n"


# Theano's logistic regression.


def theano_in_numpy(x, y, first, config):
    """The lecture's program, its cross-entropy in the stable form that Theano compiles."""
    w, b = first["w"].copy(), float(first["b"])
    costs, losses = [], []
    for _ in range(config.steps):
        z = x @ w + b
        xent = y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z)
        losses.append(xent.mean())
        costs.append(xent.mean() + config.penalty * (w**2).sum())
        p_1 = 1 / (1 + np.exp(-z))
        gw = x.T @ (p_1 - y) / len(y) + 2 * config.penalty * w
        gb = (p_1 - y).mean()
        w, b = w - config.learning_rate * gw, b - config.learning_rate * gb
    return np.array(costs), np.array(losses), w, b


def check_theano(config):
    result = theano_logistic.main(config)
    assert result.first["w"].dtype == result.last["w"].dtype == np.float64
    assert result.first["b"] == 0
    costs, losses, w, b = theano_in_numpy(result.x, result.y, result.first, config)
    np.testing.assert_allclose(result.costs, costs, rtol=1e-9, atol=0)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-9, atol=0)
    assert np.linalg.norm(result.last["w"] - w) <= 1e-9 * np.linalg.norm(w)
    assert abs(result.last["b"] - b) <= 1e-9
    assert result.accuracy == np.mean((result.x @ w + b > 0) == result.y)
    return result


def test_theano_equals_numpy(x64):
    result = check_theano(theano_logistic.Config(steps=300))
    assert result.x.shape == (400, 784)
    assert set(result.y) == {0.0, 1.0}
    assert abs(result.first["w"].std() - 1) < 0.1


def test_theano_turns_64_bits_on_for_itself_alone(capsys):
    result = check_theano(theano_logistic.Config(samples=20, features=5, steps=3, penalty=0.3))
    assert result.costs.shape == (3,)
    assert jnp.ones(1).dtype == jnp.float32
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.slow
def test_theano_in_full(x64):
    result = check_theano(theano_logistic.Config())
    assert result.costs.shape == (10_000,)
    assert result.accuracy == 1.0
    # At the minimum, to which 10,000 steps suffice: λ gives a curvature of 0.02 at least.
    np.testing.assert_allclose(result.costs[-1], 0.1279867, rtol=1e-6)
    assert np.ptp(result.costs[-100:]) < 1e-9


# TensorFlow's line.


def test_tensorflow_finds_the_line(capsys):
    config = tensorflow_line.Config()
    result = tensorflow_line.main(config)
    assert result.w.shape == result.b.shape == (201,)
    assert abs(result.w[-1] - 0.1) < 1e-6
    assert abs(result.b[-1] - 0.3) < 1e-6
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [int(line[0]) for line in lines] == list(range(0, 201, 20))
    assert [float(line[2]) for line in lines] == [round(w, 7) for w in result.w[::20]]

    # In closed form: the error of (w, b) is multiplied by I − α·2·[[x², x], [x, 1]] a step.
    x = result.x[:, 0].astype(np.float64)
    curvature = 2 * np.array([[np.mean(x**2), np.mean(x)], [np.mean(x), 1]])
    error = np.array([result.first - 0.1, -0.3])
    for step in range(201):
        error = error - config.learning_rate * curvature @ error
        assert abs(result.w[step] - 0.1 - error[0]) < 1e-6
        assert abs(result.b[step] - 0.3 - error[1]) < 1e-6
    assert 0 <= x.min() < 0.1 < 0.9 < x.max() <= 1
    assert -1 <= result.first <= 1


# Keras' multi-layer perceptron.


def keras_in_numpy(data, first, config, key):
    """Keras' SGD(decay=…, nesterov=True) over a tanh network without dropout, in float64."""
    layers = sorted(first)
    params = [np.array(first[layer][name]) for layer in layers for name in ("kernel", "bias")]
    velocity = [np.zeros_like(p) for p in params]
    n = len(data.train["x"])
    iterations, losses = 0, []
    for epoch in range(config.epochs):
        order = np.asarray(epoch_order(key, jnp.int32(epoch), n, config.batch_size))[:n]
        for rows in np.split(order, range(config.batch_size, n, config.batch_size)):
            loss, grads = gradient(params, data.train["x"][rows], data.train["y"][rows])
            lr = config.learning_rate / (1 + config.decay * iterations)
            iterations += 1
            losses.append(loss)
            for i, (p, g) in enumerate(zip(params, grads, strict=True)):
                velocity[i] = config.momentum * velocity[i] - lr * g
                params[i] = p + config.momentum * velocity[i] - lr * g
    return np.array(losses), params, layers


def gradient(params, x, y):
    kernels, biases = params[::2], params[1::2]
    hidden = [x]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        hidden.append(np.tanh(hidden[-1] @ kernel + bias))
    z = hidden[-1] @ kernels[-1] + biases[-1]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    picked = np.arange(len(y)), y
    loss = -np.log(p[picked]).mean()
    delta, grads = p.copy(), []
    delta[picked] -= 1
    delta /= len(y)
    for layer in reversed(range(len(kernels))):
        grads = [hidden[layer].T @ delta, delta.sum(axis=0), *grads]
        if layer:
            delta = delta @ kernels[layer].T * (1 - hidden[layer] ** 2)
    return loss, grads


@pytest.mark.parametrize("decay", [1e-6, 0.2])
def test_keras_equals_numpy(x64, decay):
    config = keras_mlp.Config(
        hidden=(5, 4), dropout_rate=None, decay=decay, examples=60, epochs=3, init_limit=0.5
    )
    result = keras_mlp.main(config)
    assert result.data.train["x"].dtype == np.float64
    losses, params, layers = keras_in_numpy(
        result.data, result.first, config, jax.random.key(config.seed)
    )
    assert losses.shape == (12,)  # the last batch of an epoch has 12 examples
    np.testing.assert_allclose(result.run.history.step_series("loss"), losses, rtol=1e-9)
    last = result.run.state.params
    for i, layer in enumerate(layers):
        np.testing.assert_allclose(last[layer]["kernel"], params[2 * i], rtol=1e-9)
        np.testing.assert_allclose(last[layer]["bias"], params[2 * i + 1], rtol=1e-9)
    loss, _ = gradient(params, result.data.test["x"], result.data.test["y"])
    assert abs(result.test["loss"] - loss) <= 1e-9 * loss


def test_keras_as_in_the_lecture(capsys):
    result = keras_mlp.main(keras_mlp.Config(epochs=2))
    shapes = [layer["kernel"].shape for _, layer in sorted(result.first.items())]
    assert shapes == [(20, 64), (64, 64), (64, 10)]
    kernels = np.concatenate([layer["kernel"].ravel() for layer in result.first.values()])
    assert np.abs(kernels).max() <= 0.05
    assert abs(kernels.std() - 0.1 / np.sqrt(12)) < 1e-3
    config = result.run.config
    assert (config["batch_size"], config["train_examples"]) == (16, 1000)
    assert keras_mlp.make_recipe(keras_mlp.Config()).model.dropout_rate == 0.5
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_keras_learns_at_a_rate_that_suits_its_momentum():
    result = keras_mlp.main(keras_mlp.Config(learning_rate=0.01))
    assert result.test["accuracy"] >= 0.65
    result = keras_mlp.main(keras_mlp.Config(learning_rate=0.01, labels="random", epochs=5))
    assert abs(result.run.history.series("train/loss")[-1] - np.log(10)) < 0.05
