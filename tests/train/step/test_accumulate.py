"""Batches taken in parts give the update of the whole batch, whatever the weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.train import init_state, train_step


def make(**parts):
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP((16, 3), **parts),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(jaxnn.optim.schedules.step(0.01, every=3)),
        regularizer=jaxnn.regularizers.l2(1e-2),
    )


RECIPE = make()
STEP = jax.jit(train_step, static_argnums=(0, 3))


@pytest.fixture
def batch(tiny):
    """Of 24 rows the last part has a single real one, and one part none at all."""
    weight = np.ones(24, np.float32)
    weight[6:12] = 0
    weight[19:] = 0
    weight[0] = 2.5
    return {"x": tiny.train["x"][:24], "y": tiny.train["y"][:24], "weight": weight}


@pytest.mark.parametrize("parts", [2, 4, 24])
def test_parts_equal_the_whole(batch, parts, x64):
    whole = in_parts = init_state(RECIPE, 0, batch)
    for _ in range(5):
        whole, expected = STEP(RECIPE, whole, batch, 1)
        in_parts, metrics = STEP(RECIPE, in_parts, batch, parts)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(in_parts.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert set(metrics) == set(expected) == {"accuracy", "loss", "penalty"}
    for name, pair in expected.items():
        np.testing.assert_allclose(metrics[name], pair, rtol=1e-9)
    # One update, one step of the schedule.
    counts = [leaf for leaf in jax.tree.leaves(in_parts.opt_state) if leaf.dtype == jnp.int32]
    assert counts and all(int(count) == 5 for count in counts)


def test_in_a_run(tiny):
    whole, in_parts = (
        jaxnn.fit(RECIPE, tiny, epochs=3, batch_size=32, key=0, accumulate=parts)
        for parts in (1, 4)
    )
    np.testing.assert_allclose(
        whole.history.step_series("loss"), in_parts.history.step_series("loss"), rtol=1e-5
    )
    assert in_parts.config["accumulate"] == 4


def test_each_part_draws_its_own_masks():
    """With the same draws, two equal halves would have equal gradients."""
    recipe = make(dropout_rate=0.5)
    half = {"x": np.ones((4, 5), np.float32), "y": np.zeros(4, np.int32)}
    batch = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), half)
    state = init_state(recipe, 0, batch)
    of_half, _ = STEP(recipe, state, half, 1)
    of_both, _ = STEP(recipe, state, batch, 2)
    assert not np.allclose(
        of_half.params["Dense_0"]["kernel"], of_both.params["Dense_0"]["kernel"], atol=1e-6
    )


def test_refusals(tiny):
    for accumulate, message in (
        (3, "accumulate must divide the batch size, 32, got 3"),
        (0, "accumulate must be a positive integer, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            jaxnn.fit(RECIPE, tiny, epochs=1, batch_size=32, key=0, accumulate=accumulate)
