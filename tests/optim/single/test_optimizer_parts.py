"""What only one of the optimizers does, and the links that they are chained of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnn import optim


@pytest.mark.parametrize("b2", [0.999, 0.999999])
@pytest.mark.parametrize("form", [float, jnp.float32])
def test_adams_first_step_is_the_rate_however_near_1_b2_is(b2, form):
    """m̂ = g and v̂ = g² whatever the betas are; 1 − b in float32 must be lost on both sides."""
    tx = optim.adam(0.1, b1=form(0.9), b2=form(b2))
    g = jnp.asarray([3.0, -2e-4, 50.0])
    updates, _ = tx.update(g, tx.init(g), g)
    np.testing.assert_allclose(updates, -0.1 * np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(updates[::2], -0.1 * np.sign(g[::2]), rtol=1e-6)


def test_adams_bias_correction_keeps_its_digits_in_float32():
    """A constant gradient has m̂ = g and v̂ = g² at every step; Optax is off by 6e-5 here."""
    tx, g = optim.adam(1.0, eps=0.0), jnp.float32(1.0)
    updates = jax.lax.scan(
        lambda state, _: tx.update(g, state)[::-1], tx.init(g), None, length=100
    )[1]
    np.testing.assert_allclose(updates, -np.ones(100), rtol=2e-6)


@pytest.mark.parametrize(
    ("eps", "eps_root", "expected"), [(1.0, 0.0, -0.5), (0.0, 1.0, -np.sqrt(0.5))]
)
def test_adams_two_epsilons(eps, eps_root, expected, x64):
    tx = optim.adam(1.0, eps=eps, eps_root=eps_root)
    updates, _ = tx.update(jnp.ones(()), tx.init(jnp.zeros(())))
    np.testing.assert_allclose(updates, expected, rtol=1e-12)


def test_momentum_with_decay_1_sums_all_gradients():
    tx = optim.trace(1.0)
    state = tx.init(jnp.zeros(2))
    for _ in range(4):
        update, state = tx.update(jnp.asarray([1.0, -2.0]), state)
    np.testing.assert_array_equal(update, [4.0, -8.0])


def test_momentum_is_trace_and_rate_and_adam_is_its_scaling_and_rate():
    g = jnp.asarray([0.3, -4.0])
    pairs = [
        (optim.momentum(0.1, 0.5), optim.trace(0.5)),
        (optim.adam(0.1, eps=1e-3), optim.scale_by_adam(eps=1e-3)),
    ]
    for whole, part in pairs:
        chain = optax.chain(part, optim.scale_by_learning_rate(0.1))
        states = [whole.init(g), chain.init(g)]
        for _ in range(3):
            a, states[0] = whole.update(g, states[0], g)
            b, states[1] = chain.update(g, states[1], g)
            np.testing.assert_array_equal(a, b)


def test_rate_scale_meets_a_schedule_too():
    schedule = optim.schedules.step(1.0, every=1, factor=0.5)
    tx, g = optim.scale_by_learning_rate(schedule), jnp.ones(3)
    state, updates = tx.init(g), []
    for scale in (1.0, jnp.float32(0.5), 0.0):
        update, state = tx.update(g, state, rate_scale=scale)
        updates.append(float(update[0]))
    assert updates == [-1.0, -0.25, 0.0]
    assert int(state.count) == 3


def test_the_count_stops_at_its_largest_value():
    tx, g = optim.adam(0.5), jnp.ones(2)
    largest = jnp.asarray(2**31 - 1, jnp.int32)
    state = jax.tree.map(lambda x: largest if x.dtype == jnp.int32 else x, tx.init(g))
    updates, state = tx.update(g, state)
    assert {int(x) for x in jax.tree.leaves(state) if x.dtype == jnp.int32} == {2**31 - 1}
    assert np.isfinite(updates).all()


def test_who_takes_rate_scale():
    params = {"w": jnp.ones(2)}
    ours = [
        optim.sgd(0.1),
        optim.momentum(0.1),
        optim.adam(0.1),
        optax.chain(optax.clip(1.0), optim.adam(0.1)),
        optax.masked(optim.adam(0.1), {"w": True}),
        optax.inject_hyperparams(optim.adam)(learning_rate=0.1),
    ]
    assert all(optim.takes_rate_scale(tx.init(params)) for tx in ours)
    theirs = [optax.sgd(0.1), optax.adam(0.1), optim.scale_by_adam(), optax.identity()]
    assert not any(optim.takes_rate_scale(tx.init(params)) for tx in theirs)


def test_a_scaled_decay_needs_one_learning_rate():
    """An optimizer of Optax holds none, and groups of parameters several."""
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    groups = optim.by_path([("bias", optim.sgd(0.1))], optim.sgd(0.2))
    for tx, message in (
        (optax.sgd(0.1), r"^optimizer must have a learning rate in its state.*got none"),
        (groups, r"^optimizer must have one learning rate .*got 2 rates"),
    ):
        with pytest.raises(ValueError, match=message):
            optim.with_decoupled_weight_decay(tx, 0.1).init(params)
        alone = optim.with_decoupled_weight_decay(tx, 0.1, scaled_by_learning_rate=False)
        zero = jax.tree.map(jnp.zeros_like, params)
        updates, _ = alone.update(zero, alone.init(params), params)
        np.testing.assert_allclose(updates["kernel"], np.full((2, 2), -0.1), rtol=1e-6)
        np.testing.assert_array_equal(updates["bias"], np.zeros(2))
