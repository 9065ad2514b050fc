"""Models with running statistics: padding never reaches them, and single rows are refused."""

from __future__ import annotations

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxnn


class Foreign(nn.Module):
    """Flax's own batch normalization, which knows nothing of weights."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(6)(x))
        return nn.Dense(3)(nn.relu(x))


def recipe_of(model):
    return jaxnn.Recipe(model, jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1))


RECIPES = {
    "ours": recipe_of(jaxnn.nn.MLP((6, 3), normalization="batch")),
    "foreign": recipe_of(Foreign()),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("source", ["device", "stream"])
def test_a_ragged_end_is_exact(tiny, name, source):
    """By hand, each batch in its own size, in the order of the run."""
    recipe = RECIPES[name]
    n = len(tiny.train["x"])
    batch_size = 30
    assert n % batch_size > 1
    data = tiny.train if source == "device" else jaxnn.data.stream(tiny.train)
    run = jaxnn.fit(recipe, data, epochs=2, batch_size=batch_size, key=1)
    state = jaxnn.train.init_state(recipe, 1, tiny.train)
    step = jax.jit(jaxnn.train.train_step, static_argnums=0)
    for epoch in range(2):
        for batch in jaxnn.data.stream(tiny.train).batches(jax.random.key(1), epoch, batch_size):
            state, _ = step(recipe, state, batch)
    for part in ("params", "model_state"):
        ours, by_hand = (jax.tree.leaves(getattr(s, part)) for s in (run.state, state))
        for a, b in zip(ours, by_hand, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert len(run.history.epochs[0].steps["loss"]) == -(-n // batch_size)


def test_in_chunks_and_by_the_iterator_to_the_same_bits(tiny, same_bits):
    recipe = RECIPES["foreign"]
    settings = {"epochs": 2, "batch_size": 30, "key": 1}
    whole = jaxnn.fit(recipe, tiny, **settings).state
    chunked = jaxnn.fit(recipe, tiny, steps_per_call=1, **settings).state
    *_, last = jaxnn.train.each_epoch(recipe, tiny, **settings)
    for other in (chunked, last.state):
        same_bits(other.params, whole.params)
        same_bits(other.model_state, whole.model_state)


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_size_that_leaves_one_row_is_refused(tiny, name):
    n = len(tiny.train["x"])
    with pytest.raises(ValueError, match=f"batch_size={n - 1} leaves a single one"):
        jaxnn.fit(RECIPES[name], tiny, epochs=1, batch_size=n - 1, key=1)
    with pytest.raises(ValueError, match="at least two rows"):
        jaxnn.fit(RECIPES[name], tiny, epochs=1, batch_size=1, key=1)


def test_parts_of_a_batch_count_too(tiny):
    with pytest.raises(ValueError, match="in 30 micro-batches leaves a single one"):
        jaxnn.fit(RECIPES["ours"], tiny, epochs=1, batch_size=30, key=1, accumulate=30)
    with pytest.raises(ValueError, match=r"accumulate must divide the \d+ examples of the last"):
        jaxnn.fit(RECIPES["foreign"], tiny, epochs=1, batch_size=32, key=1, accumulate=4)
