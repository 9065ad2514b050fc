"""Any knob can be scheduled: a make_recipe that receives the clock."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.optim import schedules
from jaxnn.train import init_state, train_step


def test_a_strength_and_a_dropout_rate_follow_their_schedules(tiny):
    def make(knobs, clock):
        return jaxnn.Recipe(
            model=jaxnn.nn.MLP((8, 3), dropout_rate=schedules.linear(0.9, 0.0, 2)(clock)),
            loss=jaxnn.losses.softmax_cross_entropy,
            optimizer=jaxnn.optim.sgd(0.0),
            regularizer=jaxnn.regularizers.l2(strength(clock) * knobs["l2"]),
        )

    strength = schedules.step(1.0, every=3, factor=0.5)
    run = jaxnn.fit(make, tiny, epochs=2, batch_size=14, key=0, knobs={"l2": 0.1})
    penalty = run.history.step_series("penalty")
    # The parameters stand still, so the penalty shows the strength: halved at steps 3, 6 and 9.
    np.testing.assert_allclose(penalty / penalty[0], 0.5 ** (np.arange(10) // 3), rtol=1e-6)
    losses = run.history.step_series("loss")
    plain = jaxnn.fit(
        lambda knobs: make(knobs, np.int32(99)),
        tiny,
        epochs=2,
        batch_size=14,
        key=0,
        knobs={"l2": 0.1},
    ).history.step_series("loss")
    assert (losses[:2] != plain[:2]).all()
    np.testing.assert_allclose(losses[2:], plain[2:], rtol=1e-6)  # the rate has come to 0


def test_l2_through_the_gradient_is_decay_for_sgd_and_not_for_adam(tiny):
    """PRACTICES O9."""
    rate, strength = 0.1, 0.3

    def after(optimizer, regularizer=None):
        recipe = jaxnn.Recipe(
            jaxnn.nn.MLP((8, 3)), jaxnn.losses.softmax_cross_entropy, optimizer, regularizer
        )
        state = init_state(recipe, 0, tiny.train)
        for _ in range(5):
            state, _ = jax.jit(train_step, static_argnums=0)(recipe, state, tiny.train)
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(state.params)])

    optim, l2 = jaxnn.optim, jaxnn.regularizers.l2(strength)
    through = after(optim.sgd(rate), l2)
    beside = after(optim.with_decoupled_weight_decay(optim.sgd(rate), strength))
    np.testing.assert_allclose(through, beside, rtol=1e-5, atol=1e-6)
    through = after(optim.adam(rate), l2)
    beside = after(optim.adamw(rate, weight_decay=strength))
    assert np.linalg.norm(through - beside) > 0.05 * np.linalg.norm(beside)
    around = after(optim.with_decoupled_weight_decay(optim.adam(rate), strength))
    np.testing.assert_allclose(around, beside, rtol=1e-5, atol=1e-6)


def test_a_lookahead_takes_its_gradient_ahead_in_the_step(tiny):
    """The step does by itself what a loop of one's own does with `lookahead_params`."""
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((3,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.nesterov(0.5, 0.9)
    )
    state = init_state(recipe, 0, tiny.train)
    w = np.asarray(state.params["Dense_0"]["kernel"], np.float64)
    b, x, y = np.zeros(3), tiny.train["x"].astype(np.float64), tiny.train["y"]
    vw, vb = np.zeros_like(w), np.zeros_like(b)
    for _ in range(10):
        z = x @ (w + 0.9 * vw) + (b + 0.9 * vb)
        p = np.exp(z - z.max(1, keepdims=True))
        delta = (p / p.sum(1, keepdims=True) - np.eye(3)[y]) / len(y)
        vw, vb = 0.9 * vw - 0.5 * x.T @ delta, 0.9 * vb - 0.5 * delta.sum(0)
        w, b = w + vw, b + vb
        state, _ = train_step(recipe, state, tiny.train)
    np.testing.assert_allclose(state.params["Dense_0"]["kernel"], w, rtol=1e-4, atol=1e-5)


def test_what_make_recipe_is_told_is_checked(tiny):
    def make(knobs, clock):
        return jaxnn.Recipe(
            jaxnn.nn.MLP((3,), dropout_rate=clock + 1.0),
            jaxnn.losses.softmax_cross_entropy,
            jaxnn.optim.sgd(0.1),
        )

    with pytest.raises(ValueError, match=r"dropout_rate must be in \[0, 1\), got 1"):
        jaxnn.fit(make, tiny, epochs=1, batch_size=14, key=0)
