"""What is not finite is never kept as the best, by no controller and no average."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits
from train_recipes import make_recipe

import jaxnn
from jaxnn.train import early_stopping, halve_and_go_back, init_state, keep_best
from jaxnn.train.control.protocol import control, finish

KNOBS = {"lr": 0.1, "dropout": 0.0, "l2": 0.0}


def spoiled(state, how):
    """A state with one weight that is not finite."""
    kernel = state.params["Dense_0"]["kernel"].at[0, 0].set(how)
    return state.replace(params={**state.params, "Dense_0": {"kernel": kernel, "bias": kernel[0]}})


GOOD = {"train/loss": 1.0, "val/loss": 1.0, "val/accuracy": 0.5}
CASES = [
    (lambda state: spoiled(state, np.nan), "val/loss", {"val/loss": 0.1}),
    (lambda state: spoiled(state, np.inf), "val/loss", {"val/loss": 0.1}),
    (lambda state: state, "val/loss", {"val/loss": -np.inf}),
    (lambda state: state, "val/loss", {"val/loss": np.nan}),
    (lambda state: state, "val/loss", {"val/loss": 0.1, "train/loss": np.inf}),
    (lambda state: state, "val/accuracy", {"val/loss": np.nan, "val/accuracy": 1.0}),
]


@pytest.mark.parametrize("factory", [early_stopping, halve_and_go_back, keep_best])
@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
def test_no_controller_keeps_it(factory, monitor, tiny):
    recipe = make_recipe(KNOBS, controllers=(factory(monitor=monitor),))
    state = jax.jit(init_state, static_argnums=0)(recipe, jax.random.key(0), tiny.train)
    step = jax.jit(control, static_argnums=0)

    def told(state, values):
        return step(recipe, state, {name: jnp.float32(v) for name, v in values.items()})

    good = told(state, GOOD)
    better = told(spoiled(good, 7.0), GOOD | {monitor: 0.1 if monitor == "val/loss" else 1.0})
    kernel = handed_back(recipe, factory, better)["Dense_0"]["kernel"]
    assert kernel[0, 0] == 7, "a better one is not kept either"
    for spoil, _, values in [case for case in CASES if case[1] == monitor]:
        kept = handed_back(recipe, factory, told(spoil(spoiled(good, 7.0)), GOOD | values))
        assert_same_bits(kept, state.params)


def handed_back(recipe, factory, state):
    """The parameters of a run that ends here, or that has gone back."""
    return (state if factory is halve_and_go_back else finish(recipe, state)).params


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
