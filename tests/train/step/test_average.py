"""The running average of the parameters, against a transcription, and its use in evaluation."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.train import eval_step, init_state, predict_step, train_step


class Normed(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        wide = jnp.asarray(0.0).dtype  # float64 where x64 is on
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5, param_dtype=wide)(x)
        return nn.Dense(3, param_dtype=wide)(x)


def make(average):
    return jaxnn.Recipe(
        Normed(), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.5), average=average
    )


@pytest.mark.parametrize(
    ("decay", "warmup"), [(0.9, True), (0.9, False), (0.0, False), (1.0, True)]
)
def test_formula(tiny, decay, warmup, x64):
    recipe = make(jaxnn.optim.parameter_average(decay, warmup=warmup))
    state = jax.jit(init_state, static_argnums=0)(recipe, jax.random.key(0), tiny.train)
    step = jax.jit(train_step, static_argnums=0)
    expected = jax.tree.map(np.asarray, (state.params, state.model_state))
    for t in range(20):
        state, _ = step(recipe, state, tiny.train)
        d = min(decay, (1 + t) / (10 + t)) if warmup else decay
        expected = jax.tree.map(
            lambda old, new, d=d: d * old + (1 - d) * np.asarray(new),
            expected,
            (state.params, state.model_state),
        )
    got = (state.averaged["params"], state.averaged["model_state"])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("evaluate", [True, False])
def test_evaluation_uses_it_on_request(tiny, evaluate):
    recipe = make(jaxnn.optim.parameter_average(0.95, evaluate=evaluate))
    run = jaxnn.fit(recipe, tiny, epochs=4, batch_size=32, key=0)
    state = run.state
    chosen = (
        state.averaged if evaluate else {"params": state.params, "model_state": state.model_state}
    )
    logits = Normed().apply({"params": chosen["params"], **chosen["model_state"]}, tiny.val["x"])
    np.testing.assert_allclose(run.predict(tiny.val["x"]), logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        predict_step(recipe, state, tiny.val["x"]), logits, rtol=1e-5, atol=1e-6
    )
    total, count = eval_step(recipe, state, tiny.val)["loss"]
    assert float(total / count) == pytest.approx(run.history.series("val/loss")[-1], rel=1e-5)
    assert run.evaluate(tiny.val)["loss"] == pytest.approx(float(total / count), rel=1e-5)


def test_the_decay_is_a_knob_and_a_schedule(tiny):
    def after(decay):
        recipe = make(jaxnn.optim.parameter_average(decay, warmup=False))
        state = jax.lax.fori_loop(
            0,
            3,
            lambda _, state: train_step(recipe, state, tiny.train)[0],
            init_state(recipe, 0, tiny.train),
        )
        return state.averaged["params"]["Dense_0"]["kernel"]

    decays, alone = jnp.array([0.0, 0.5, 0.99]), jax.jit(after)
    mapped = jax.jit(jax.vmap(after))(decays)
    for one, decay in zip(mapped, decays, strict=True):
        np.testing.assert_allclose(one, alone(decay), rtol=1e-5, atol=1e-7)
    constant = jaxnn.optim.schedules.constant(0.5)
    scheduled = jax.jit(lambda: after(constant))()
    np.testing.assert_allclose(scheduled, mapped[1], rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 1.5"):
        jaxnn.optim.parameter_average(1.5)


def test_it_is_kept_over_a_resumption(tiny, tmp_path, same_bits):
    recipe = make(jaxnn.optim.parameter_average(0.9))
    arguments = {"batch_size": 32, "key": 0}
    straight = jaxnn.fit(recipe, tiny, epochs=4, **arguments)
    jaxnn.fit(recipe, tiny, epochs=2, folder=tmp_path / "run", **arguments)
    resumed = jaxnn.fit(recipe, tiny, epochs=4, resume=tmp_path / "run", **arguments)
    same_bits(straight.state, resumed.state)
    assert straight.state.averaged is not None
