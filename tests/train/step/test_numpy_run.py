"""Fifty steps of a small network against a transcription in NumPy float64.

Forward, backward by hand, dropout, L2 and Adam are written out from the lectures' formulas.
Only the draws are taken from jaxnn: initial weights, order of rows, and masks.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.keys import stream
from jaxnn.train import init_state

WIDTHS, RATE, L2, LR, B1, B2, EPS = (16, 8, 3), 0.4, 1e-2, 3e-3, 0.9, 0.999, 1e-8
BATCH, EPOCHS = 7, 5  # 70 examples: ten steps an epoch


def recipe():
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP(WIDTHS, dropout_rate=RATE),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(LR, b1=B1, b2=B2, eps=EPS),
        regularizer=jaxnn.regularizers.l2(L2),
    )


@jax.jit
def draw(params, key, step):
    """What each dropout layer makes of a network whose units are all 1."""
    ones = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.full_like(leaf, "bias" in str(path)), params
    )
    _, captured = jaxnn.nn.MLP(WIDTHS, dropout_rate=RATE).apply(
        {"params": ones},
        jnp.ones((BATCH, 5)),
        train=True,
        rngs={"dropout": stream(key, "dropout", step)},
        capture_intermediates=True,
        mutable="intermediates",
    )
    layers = captured["intermediates"]
    return [layers[f"Dropout_{i}"]["__call__"][0] for i in range(2)]


def masks(params, key, step):
    """The kept units of each hidden layer."""
    return [np.asarray(outputs) > 0 for outputs in draw(params, key, step)]


def numpy_step(weights, biases, m, v, t, x, labels, kept):
    """One step; weights, biases and Adam's moments are updated in place."""
    n, h, cache = len(x), x, []
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = h @ w + b
        cache.append((h, z))
        h = np.maximum(z, 0) * kept[i] / (1 - RATE) if i < len(kept) else z
    p = np.exp(h - h.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(n), labels]).mean()
    delta = (p - np.eye(p.shape[1])[labels]) / n
    grads = []
    for i in reversed(range(len(weights))):
        h, z = cache[i]
        grads = [h.T @ delta + L2 * weights[i], delta.sum(0), *grads]
        if i > 0:
            below = cache[i - 1][1]
            delta = delta @ weights[i].T * kept[i - 1] / (1 - RATE) * (below > 0)
    leaves = [leaf for pair in zip(weights, biases, strict=True) for leaf in pair]
    for theta, g, first, second in zip(leaves, grads, m, v, strict=True):
        first += (1 - B1) * (g - first)
        second += (1 - B2) * (g**2 - second)
        theta -= LR * (first / (1 - B1**t)) / (np.sqrt(second / (1 - B2**t)) + EPS)
    return loss


def numpy_run(data, params, key):
    layers = [params[f"Dense_{i}"] for i in range(len(WIDTHS))]
    weights = [np.array(layer["kernel"], np.float64) for layer in layers]
    biases = [np.array(layer["bias"], np.float64) for layer in layers]
    leaves = [leaf for pair in zip(weights, biases, strict=True) for leaf in pair]
    m, v = [np.zeros_like(leaf) for leaf in leaves], [np.zeros_like(leaf) for leaf in leaves]
    losses = []
    for step in range(EPOCHS * 10):
        epoch, index = divmod(step, 10)
        order = np.asarray(jax.random.permutation(stream(key, "shuffle", epoch), 70))
        rows = order[index * BATCH : (index + 1) * BATCH]
        x, labels = data.train["x"][rows].astype(np.float64), data.train["y"][rows]
        kept = masks(params, key, step)
        losses.append(numpy_step(weights, biases, m, v, step + 1, x, labels, kept))
    return weights, biases, np.array(losses)


def compare(data, tolerance):
    key = jax.random.key(3)
    run = jaxnn.fit(recipe(), data, epochs=EPOCHS, batch_size=BATCH, key=key)
    start = init_state(recipe(), key, data.train)
    weights, biases, losses = numpy_run(data, start.params, key)
    assert int(run.state.clock) == 50
    for i in range(len(WIDTHS)):
        layer = run.state.params[f"Dense_{i}"]
        for ours, theirs in ((layer["kernel"], weights[i]), (layer["bias"], biases[i])):
            assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(theirs)
    np.testing.assert_allclose(run.history.step_series("loss"), losses, rtol=10 * tolerance)


def test_with_64_bits(x64, tiny):
    compare(tiny, 1e-9)


def test_with_32_bits(tiny):
    compare(tiny, 1e-5)


def test_the_masks_are_not_trivial(tiny):
    params = init_state(recipe(), 3, tiny.train).params
    first, second = masks(params, jax.random.key(3), 0), masks(params, jax.random.key(3), 1)
    assert 0.3 < np.mean(np.concatenate([mask.ravel() for mask in first])) < 0.9
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0][:, :8], first[1])


@pytest.fixture(autouse=True)
def exact_products():
    with jax.default_matmul_precision("highest"):
        yield
