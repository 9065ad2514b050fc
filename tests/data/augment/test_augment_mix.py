"""Mixup: who is mixed with whom, by how much, and what becomes of labels and weights."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits

from jaxnn.data import augment

KEY = jax.random.key(8)
N = 40
LABELS = np.random.default_rng(0).integers(0, 5, N).astype(np.int32)

# Each example is a unit vector of its own, so that the mixed one shows who is in it.
UNITS = np.eye(N, dtype=np.float32)


@jax.jit
def mixed(alpha, weight, key=KEY):
    batch = {"x": jnp.asarray(UNITS), "y": jnp.asarray(LABELS), "weight": weight}
    return augment.mixup(alpha, classes=5)(key, batch)


def weights():
    weight = np.random.default_rng(1).uniform(0.5, 2, N).astype(np.float32)
    weight[[0, 7, 8, 39]] = 0
    return weight


def test_mixes_are_convex_and_go_round_all_real_rows():
    weight = weights()
    real = np.flatnonzero(weight)
    x = np.asarray(mixed(1.0, weight)["x"])
    assert x.min() >= 0
    np.testing.assert_allclose(x.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(x[weight == 0], UNITS[weight == 0])
    np.testing.assert_array_equal(x[np.ix_(real, weight == 0)], 0)
    others = x - np.diag(np.diag(x))
    assert ((others[real] > 0).sum(1) == 1).all()
    partner, seen = others.argmax(1), [real[0]]
    while partner[seen[-1]] != real[0]:
        seen.append(partner[seen[-1]])
    assert sorted(seen) == real.tolist()


def test_labels_are_mixed_like_inputs():
    batch = mixed(0.4, np.ones(N, np.float32))
    expected = np.asarray(batch["x"]) @ np.eye(5)[LABELS]
    np.testing.assert_allclose(batch["y"], expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(batch["y"].sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(batch["weight"], np.ones(N))


def test_the_loss_is_that_of_both_with_their_weights():
    weight = weights()
    batch = jax.device_get(mixed(1.0, weight))
    share = batch["x"]
    np.testing.assert_allclose(batch["weight"], share @ weight, rtol=1e-6)
    expected = (share * weight) @ np.eye(5)[LABELS]
    np.testing.assert_allclose(
        batch["weight"][:, None] * batch["y"], expected, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_array_equal(batch["weight"] == 0, weight == 0)
    np.testing.assert_allclose(batch["y"].sum(1), 1, rtol=1e-6)


def test_padding_may_hold_anything():
    weight = np.where(np.arange(4) < 3, 1, 0).astype(np.float32)
    x = jnp.asarray([[1.0], [2.0], [3.0], [np.nan]])
    batch = {"x": x, "y": jnp.asarray([[0.0], [1.0], [2.0], [np.inf]]), "weight": weight}
    out = jax.jit(augment.mixup(1.0))(KEY, batch)
    assert np.isfinite(out["x"][:3]).all() and np.isfinite(out["y"][:3]).all()
    assert_same_bits((out["x"][3], out["y"][3]), (x[3], batch["y"][3]))


def test_alpha_0_mixes_nothing():
    batch = mixed(0.0, weights())
    assert_same_bits(batch["x"], UNITS)
    np.testing.assert_array_equal(batch["y"], np.eye(5)[LABELS])
    assert_same_bits(batch["weight"], weights())


def test_one_real_row_stays():
    weight = np.zeros(N, np.float32)
    np.testing.assert_allclose(mixed(1.0, weight)["x"], UNITS)
    weight[3] = 1
    np.testing.assert_allclose(mixed(1.0, weight)["x"], UNITS, rtol=1e-6)


@functools.cache
def drawn(alpha):
    """Of 50 batches the shares (50, N), in float64, and the partners."""
    weight = np.ones(N, np.float32)
    x = np.stack([mixed(alpha, weight, key)["x"] for key in jax.random.split(KEY, 50)])
    share = np.diagonal(x, axis1=1, axis2=2).astype(np.float64)
    return share, ((1 - np.eye(N)) * x > 0).argmax(2)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 50.0])
def test_shares_have_the_moments_of_beta(alpha):
    share = drawn(alpha)[0].ravel()
    variance = 1 / (4 * (2 * alpha + 1))
    fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))
    assert abs(share.mean() - 0.5) < 4 * np.sqrt(variance / share.size)
    squares = (share - 0.5) ** 2
    assert abs(squares.mean() - variance) < 4 * np.sqrt((fourth - variance**2) / share.size)


@pytest.mark.parametrize(
    ("alpha", "cdf"),
    [
        (0.5, lambda x: 2 / np.pi * np.arcsin(np.sqrt(x))),
        (1.0, lambda x: x),
        (2.0, lambda x: 3 * x**2 - 2 * x**3),
    ],
)
def test_shares_have_the_distribution_of_beta(alpha, cdf):
    share = np.sort(drawn(alpha)[0].ravel())
    u = cdf(share)
    # Kolmogorov and Smirnov: exceeded once in a thousand.
    assert np.abs(u - (np.arange(u.size) + 0.5) / u.size).max() < 1.95 / np.sqrt(u.size)


def test_every_other_row_is_a_partner_as_often():
    step = (drawn(1.0)[1] - np.arange(N)) % N
    counts = np.bincount(step.ravel(), minlength=N)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 2000 / 39).max() < 4.5 * np.sqrt(2000 / 39)


def test_float_targets_and_mixes_of_mixes():
    x = jnp.arange(6.0).reshape(6, 1)
    out = jax.jit(augment.mixup(0.4))(KEY, {"x": x, "y": 2 * x[:, 0]})
    np.testing.assert_allclose(out["y"], 2 * out["x"][:, 0], rtol=1e-5)
    assert set(out) == {"x", "y"}
    twice = augment.compose(augment.mixup(0.4, 3), augment.mixup(0.4, 3))
    y = jax.eval_shape(twice, KEY, {"x": x, "y": jnp.zeros(6, jnp.int32)})["y"]
    assert y.shape == (6, 3)


@pytest.mark.parametrize(
    ("batch", "classes", "error"),
    [
        ({"y": np.zeros(4, int)}, None, "integer classes .* with classes= given to mixup"),
        ({"y": np.zeros((4, 2), int)}, 3, "integer classes"),
        ({"y": np.zeros((4, 2), np.float32)}, 3, r"probabilities \(n, 3\).*got float32"),
        ({}, 3, 'must hold "y"'),
        ({"y": np.zeros(4, int), "weight": np.ones((4, 2))}, 3, r"per example.*\(4, 2\)"),
    ],
)
def test_refusals(batch, classes, error):
    batch = {"x": np.zeros((4, 2), np.float32), **batch}
    with pytest.raises(ValueError, match=error):
        augment.mixup(0.2, classes)(KEY, batch)


def test_refusals_of_the_factory_and_of_bare_arrays():
    with pytest.raises(ValueError, match="classes must be a positive integer, got 0"):
        augment.mixup(0.2, classes=0)
    with pytest.raises(TypeError, match="batch must be a mapping"):
        augment.mixup(0.2)(KEY, np.zeros((4, 2), np.float32))
