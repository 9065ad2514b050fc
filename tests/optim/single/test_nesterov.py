"""The true lookahead: where its gradient is taken, and how it meets the form of Optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import assert_leaves_close

import jaxnn
from jaxnn.optim import adam, lookahead_params, momentum, nesterov, schedules, sgd

MATRIX = np.array([[2.0, 0.3], [0.3, 0.5]])
START = np.array([1.5, -2.0])


def gradient(theta):
    return MATRIX @ theta


@pytest.mark.parametrize("inside", [False, True])
def test_the_current_form_walks_over_the_lookahead_points(inside, x64):
    """The change of variables: at constant rate and decay φ = θ + μρ is what Optax holds."""
    tx, current = (
        nesterov(0.1, 0.8, form=form, rate_in_velocity=inside) for form in ("lookahead", "current")
    )
    theta = phi = jnp.asarray(START)
    state, current_state = tx.init(theta), current.init(phi)
    for step in range(50):
        point = lookahead_params(theta, state)
        np.testing.assert_allclose(point, phi, rtol=1e-12, atol=1e-14)
        assert step == 0 or not np.allclose(point, theta, rtol=1e-3)
        updates, state = tx.update(gradient(point), state, theta)
        theta = optax.apply_updates(theta, updates)
        updates, current_state = current.update(gradient(phi), current_state, phi)
        phi = optax.apply_updates(phi, updates)
    assert np.linalg.norm(theta) < 0.1 * np.linalg.norm(START)


@pytest.mark.parametrize("inside", [False, True])
def test_rate_and_decay_scheduled_and_scaled(inside, x64):
    """The lecture's two lines in NumPy, with μ_t, α_t and what controllers do to the rate."""
    rate, mu = schedules.linear(0.2, 0.02, 30), schedules.warmup(schedules.constant(0.9), 20)
    scales = np.where(np.arange(40) < 15, 1.0, 0.25)
    tx = nesterov(rate, mu, rate_in_velocity=inside)
    theta = expected = jnp.asarray(START)
    expected, rho, state = START.copy(), np.zeros(2), tx.init(theta)
    for t, scale in enumerate(scales):
        alpha, m = scale * float(rate(t)), float(mu(t))
        point = lookahead_params(theta, state, rate_scale=scale)
        ahead = expected + m * rho if inside else expected - alpha * m * rho
        np.testing.assert_allclose(point, ahead, rtol=1e-12, atol=1e-14)
        updates, state = tx.update(gradient(point), state, theta, rate_scale=scale)
        theta = optax.apply_updates(theta, updates)
        g = gradient(ahead)
        rho = m * rho - alpha * g if inside else m * rho + g
        expected = expected + rho if inside else expected - alpha * rho
        np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-14)


PARAMS = {"a": jnp.asarray([1.0, 2.0]), "b": {"c": jnp.asarray([[3.0]]), "d": jnp.asarray(4.0)}}
GRADS = {"a": jnp.asarray([0.5, -1.0]), "b": {"c": jnp.asarray([[2.0]]), "d": jnp.asarray(-0.5)}}
ONLY_B = {"a": False, "b": {"c": True, "d": True}}
LABELS = {"a": "plain", "b": {"c": "slow", "d": "fast"}}


def looking(rate=0.1, decay=0.9):
    return nesterov(rate, decay)


def groups(transform):
    return transform({"plain": adam(0.1), "slow": looking(0.1), "fast": looking(0.2, 0.5)}, LABELS)


# Where it is hidden: the transformation, and by how much of g each leaf is ahead after a step.
HIDDEN = {
    "alone": (looking(), -0.09, -0.09, -0.09),
    "chain": (optax.chain(optax.clip(1e3), looking(), optax.identity()), -0.09, -0.09, -0.09),
    "chain in a chain": (optax.chain(optax.chain(looking())), -0.09, -0.09, -0.09),
    "masked": (optax.masked(looking(), ONLY_B), 0, -0.09, -0.09),
    "multi_transform": (groups(optax.multi_transform), 0, -0.09, -0.1),
    "partition": (groups(optax.partition), 0, -0.09, -0.1),
    "inject_hyperparams": (
        optax.inject_hyperparams(nesterov)(learning_rate=0.1, decay=0.9),
        *(-0.09, -0.09, -0.09),
    ),
    "by_path": (jaxnn.optim.by_path([("a", sgd(0.1))], looking()), 0, -0.09, -0.09),
    "freeze": (jaxnn.optim.freeze("c", looking()), -0.09, 0, -0.09),
    "with_decoupled_weight_decay": (
        jaxnn.optim.with_decoupled_weight_decay(looking(), 0.1),
        *(-0.09, -0.09, -0.09),
    ),
    "masked subtree": (
        optax.chain(optax.masked(looking(), {"a": False, "b": True}), optax.identity()),
        *(0, -0.09, -0.09),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", HIDDEN)
def test_it_is_found_wherever_it_stands(place):
    tx, *ahead = HIDDEN[place]
    state = tx.init(PARAMS)
    assert_leaves_close(lookahead_params(PARAMS, state), PARAMS, 0.0)  # no velocity yet
    _, state = optax.with_extra_args_support(tx).update(GRADS, state, PARAMS)
    point = jax.jit(lookahead_params)(PARAMS, state)
    factors = {"a": ahead[0], "b": {"c": ahead[1], "d": ahead[2]}}
    expected = jax.tree.map(lambda p, g, f: p + f * g, PARAMS, GRADS, factors)
    assert_leaves_close(point, expected, 1e-6)


@pytest.mark.parametrize(
    "tx",
    [
        sgd(0.1),
        momentum(0.1),
        nesterov(0.1, form="current"),
        optax.sgd(0.1, momentum=0.9, nesterov=True),
        optax.chain(optax.clip(1.0), adam(0.1)),
        optax.masked(adam(0.1), ONLY_B),
        optax.multi_transform({"plain": adam(0.1), "slow": sgd(1.0), "fast": sgd(1.0)}, LABELS),
        optax.inject_hyperparams(adam)(learning_rate=0.1),
    ],
)
def test_params_are_what_they_were_where_nothing_looks_ahead(tx):
    _, state = optax.with_extra_args_support(tx).update(GRADS, tx.init(PARAMS), PARAMS)
    assert lookahead_params(PARAMS, state) is PARAMS


def test_the_scale_shortens_the_way_only_where_the_rate_is_outside():
    for inside, factor in ((False, 0.25), (True, 1.0)):
        tx = nesterov(0.1, 0.9, rate_in_velocity=inside)
        _, state = tx.update(GRADS, tx.init(PARAMS), PARAMS)
        point = lookahead_params(PARAMS, state, rate_scale=0.25)
        expected = jax.tree.map(lambda p, g, f=factor: p - f * 0.09 * g, PARAMS, GRADS)
        assert_leaves_close(point, expected, 1e-6)


@pytest.mark.parametrize("inside", [False, True])
def test_the_training_step_takes_the_gradient_there_by_itself(inside, x64):
    """Three steps of a linear model with L2, the penalty's gradient at the point too."""
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((1,)),
        jaxnn.losses.squared_error,
        nesterov(0.05, 0.9, rate_in_velocity=inside),
        regularizer=jaxnn.regularizers.l2(0.3),
    )
    x, y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[1.0], [-2.0]])
    batch = {"x": jnp.asarray(x), "y": jnp.asarray(y)}
    state = jaxnn.train.init_state(recipe, 0, batch)
    layer = state.params["Dense_0"]
    w, b = np.asarray(layer["kernel"], np.float64), np.asarray(layer["bias"], np.float64)
    rho_w, rho_b = np.zeros_like(w), np.zeros_like(b)
    step = jax.jit(jaxnn.train.train_step, static_argnums=0)
    for _ in range(3):
        state, _ = step(recipe, state, batch)
        reach = 0.9 if inside else -0.05 * 0.9
        at_w, at_b = w + reach * rho_w, b + reach * rho_b
        slope = 2 * (x @ at_w + at_b - y) / len(x)
        g_w, g_b = x.T @ slope + 0.3 * at_w, slope.sum(0)
        if inside:
            rho_w, rho_b = 0.9 * rho_w - 0.05 * g_w, 0.9 * rho_b - 0.05 * g_b
            w, b = w + rho_w, b + rho_b
        else:
            rho_w, rho_b = 0.9 * rho_w + g_w, 0.9 * rho_b + g_b
            w, b = w - 0.05 * rho_w, b - 0.05 * rho_b
    np.testing.assert_allclose(state.params["Dense_0"]["kernel"], w, rtol=1e-6)
    np.testing.assert_allclose(state.params["Dense_0"]["bias"], b, rtol=1e-6)
