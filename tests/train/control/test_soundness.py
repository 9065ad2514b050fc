"""What is not finite is never kept as the best, by no controller and no average."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import early_stopping, halve_and_go_back, init_state, keep_best
from jaxnn.train.control.protocol import control, finish

KNOBS = {"lr": 0.1, "dropout": 0.0, "l2": 0.0}


def spoiled(state, how):
    """A state with one weight that is not finite."""
    kernel = state.params["Dense_0"]["kernel"].at[0, 0].set(how)
    return state.replace(params={**state.params, "Dense_0": {"kernel": kernel, "bias": kernel[0]}})


@pytest.mark.parametrize("factory", [early_stopping, halve_and_go_back, keep_best])
@pytest.mark.parametrize(
    ("spoil", "values"),
    [
        (lambda state: spoiled(state, np.nan), {"val/loss": 0.1}),
        (lambda state: spoiled(state, np.inf), {"val/loss": 0.1}),
        (lambda state: state, {"val/loss": -np.inf}),
        (lambda state: state, {"val/loss": np.nan}),
        (lambda state: state, {"val/loss": np.nan, "val/accuracy": 1.0}),
        (lambda state: state, {"val/loss": 0.1, "train/loss": np.inf}),
    ],
)
def test_no_controller_keeps_it(factory, spoil, values, tiny):
    monitor = "val/accuracy" if "val/accuracy" in values else "val/loss"
    recipe = make_recipe(KNOBS, controllers=(factory(monitor=monitor),))
    state = init_state(recipe, 0, tiny.train)
    first = {"val/loss": jnp.float32(1), "val/accuracy": jnp.float32(0.5)}
    good = control(recipe, state, first)
    after = control(recipe, spoil(good), {name: jnp.float32(v) for name, v in values.items()})
    handed_back = after if factory is halve_and_go_back else finish(recipe, after)
    for kept, was in zip(
        jax.tree.leaves(handed_back.params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_array_equal(kept, was)


def test_a_run_that_diverges_returns_its_best_weights(tiny):
    """NaN outputs of class 0 must not win on validation labels that are all of class 0."""
    val = {"x": tiny.val["x"], "y": np.zeros(30, np.int32)}
    data = jaxnn.data.Data(train=tiny.train, val=val)
    for stopping in (early_stopping(5, monitor="val/accuracy"), early_stopping(5)):
        recipe = make_recipe({**KNOBS, "lr": 1e30}, controllers=(stopping,))
        run = jaxnn.fit(recipe, data, epochs=6, batch_size=10, key=0)
        assert not np.isfinite(run.history.series("train/loss")).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.state.params))


def test_an_average_takes_no_state_that_is_not_finite(tiny):
    average = jaxnn.optim.parameter_average(0.5, warmup=False)
    recipe = make_recipe(KNOBS, average=average)
    state = init_state(recipe, 0, tiny.train)
    step = jax.jit(jaxnn.train.train_step, static_argnums=0)
    batch = jax.tree.map(lambda leaf: leaf[:8], tiny.train)
    state, _ = step(recipe, state, batch)
    broken = {**batch, "x": np.full_like(batch["x"], np.nan)}
    after, _ = step(recipe, state, broken)
    for kept, was in zip(
        jax.tree.leaves(after.averaged), jax.tree.leaves(state.averaged), strict=True
    ):
        np.testing.assert_array_equal(kept, was)
