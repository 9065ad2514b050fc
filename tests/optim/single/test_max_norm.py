"""No unit's incoming weights are longer than c after the update, and none is moved needlessly."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn.optim import adam, max_norm, sgd

SHAPES = {"dense": (40, 17), "conv": (3, 3, 8, 12), "conv_1d": (5, 4, 6), "embedding": (9, 4)}


def draw(seed, size=1.0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    layers = {
        name: {"kernel": rng.normal(size=shape), "bias": 10 * rng.normal(size=shape[-1])}
        for name, shape in SHAPES.items()
    }
    return jax.tree.map(lambda x: jnp.asarray(size * x, dtype), layers)


def norms(kernel):
    """Of each unit: over all axes of the kernel but the last, in float64."""
    kernel = np.asarray(kernel, np.float64)
    return np.sqrt((kernel**2).sum(axis=tuple(range(kernel.ndim - 1))))


@pytest.mark.parametrize("optimizer", [sgd(0.1), adam(0.3)], ids=["sgd", "adam"])
def test_no_unit_is_longer_than_c(optimizer):
    """Also from initial weights a hundred times c, from which an update is a difference."""

    @jax.jit
    def step(c, params, state, g):
        tx = optax.chain(optimizer, max_norm(c))
        updates, state = tx.update(g, state, params)
        return optax.apply_updates(params, updates), state

    for c, size in itertools.product([0.5, 3.0, 1e-3, 1e4], [1e-2, 1.0, 100.0]):
        params = draw(0, size * c)
        state = optax.chain(optimizer, max_norm(c)).init(params)
        for seed in range(4):
            params, state = step(jnp.float32(c), params, state, draw(seed + 1, c))
            for name, layer in params.items():
                longest = norms(layer["kernel"]).max()
                assert longest <= float(jnp.float32(c)) * (1 + 1e-6), (name, c, size)
                # Large weights come to lie on the sphere, not somewhere within.
                assert seed > 0 or size < 100 or longest > c * (1 - 1e-3), (name, c)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_half_precision_stays_within_c(dtype, size):
    tx = optax.chain(sgd(0.1), max_norm(3.0))
    params = draw(0, size, dtype)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for seed in range(3):
        updates, state = update(draw(seed + 1, 1.0, dtype), state, params)
        params = optax.apply_updates(params, updates)
        for name, layer in params.items():
            assert layer["kernel"].dtype == dtype
            longest = norms(layer["kernel"]).max()
            assert longest <= 3.0, name
            # From 100 c no update in half precision leads onto the sphere: it is a difference
            # of numbers whose neighbours are farther apart than c.
            assert size > 1 or seed > 0 or name == "embedding" or longest > 2.8, name


def test_against_numpy(x64):
    params, g = draw(0, 1.0, np.float64), draw(1, 1.0, np.float64)
    tx = optax.chain(sgd(0.5), max_norm(2.0))
    updates, _ = tx.update(g, tx.init(params), params)
    new = optax.apply_updates(params, updates)
    for name in SHAPES:
        bare = np.asarray(params[name]["kernel"]) - 0.5 * np.asarray(g[name]["kernel"])
        expected = bare * np.minimum(1, 2.0 / norms(bare))
        assert (norms(bare) > 2).any(), "nothing is bounded, so this shows nothing"
        np.testing.assert_allclose(new[name]["kernel"], expected, rtol=1e-13, atol=1e-15)


def test_units_within_are_left_alone_and_so_are_biases():
    params, g = draw(0), draw(1, 0.1)
    tx, plain = optax.chain(sgd(1.0), max_norm(6.0)), sgd(1.0)
    ours, theirs = (
        optax.apply_updates(params, one.update(g, one.init(params), params)[0])
        for one in (tx, plain)
    )
    within = 0
    for name in SHAPES:
        np.testing.assert_array_equal(ours[name]["bias"], theirs[name]["bias"])
        inside = norms(theirs[name]["kernel"]) <= 6.0
        within += inside.sum()
        np.testing.assert_allclose(
            np.asarray(ours[name]["kernel"])[..., inside],
            np.asarray(theirs[name]["kernel"])[..., inside],
            rtol=1e-6,
        )
    assert 0 < within < sum(shape[-1] for shape in SHAPES.values())


def test_a_unit_of_zeros_stays_where_it_is():
    params = {"kernel": jnp.zeros((3, 2))}
    tx = max_norm(1.0)
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_array_equal(updates["kernel"], np.zeros((3, 2)))
