"""Populations in every way that a run can be: images, streams, accumulation, probes, steps."""

from __future__ import annotations

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxnn
from jaxnn.population import fit_population

RATES = np.array([0.01, 0.02, 0.05])
SETTINGS = {"epochs": 2, "batch_size": 8, "key": 3, "devices": 1}


def of_model(model):
    def make_recipe(knobs):
        return jaxnn.Recipe(
            model(), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.momentum(knobs["lr"], 0.9)
        )

    return make_recipe


class Untold(nn.Module):
    """Keeps running statistics, and cannot be told which rows are padding."""

    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Dense(6)(x)
        return nn.Dense(3)(nn.BatchNorm(use_running_average=not train)(x))


def mlp():
    return jaxnn.nn.MLP((6, 3), activation="tanh", dropout_rate=0.3)


def images():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(22, 6, 6, 1)), np.arange(22) % 3
    return jaxnn.data.Data({"x": x[:14], "y": y[:14]}, {"x": x[14:], "y": y[14:]})


def assert_close(population, make_recipe, data, keys=None, **settings):
    for member, lr in enumerate(RATES):
        own = settings if keys is None else {**settings, "key": keys[member]}
        one = jaxnn.fit(make_recipe, data(), knobs={"lr": float(lr)}, **own)
        ours = population[member]
        for a, b in zip(
            jax.tree.leaves((ours.state.params, ours.state.model_state)),
            jax.tree.leaves((one.state.params, one.state.model_state)),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
        assert set(ours.history.names) == set(one.history.names)
        for name in set(one.history.names) - {"seconds", "examples_per_second"}:
            np.testing.assert_allclose(
                ours.history.series(name), one.history.series(name), rtol=1e-6, atol=1e-9
            )


@pytest.mark.parametrize("devices", [1, 2])
def test_a_convolutional_network_with_batch_normalization(x64, devices):
    make_recipe = of_model(
        lambda: jaxnn.nn.ConvNet(3, channels=(2,), hidden=(4,), normalization="batch")
    )
    settings = {**SETTINGS, "devices": devices}
    population = fit_population(make_recipe, {"lr": RATES}, images(), cohort=2, **settings)
    assert_close(population, make_recipe, images, **SETTINGS)


@pytest.mark.parametrize(
    "more",
    [
        {"accumulate": 2},
        {"evaluate_every_steps": 3},
        {"probes": [jaxnn.inspect.GradientNorm()], "steps_per_call": 2},
    ],
    ids=lambda more: next(iter(more)),
)
def test_as_the_run_alone(tiny, x64, more):
    make_recipe = of_model(mlp)
    settings = {**SETTINGS, **more}
    population = fit_population(make_recipe, {"lr": RATES}, tiny, cohort=2, **settings)
    assert_close(population, make_recipe, lambda: tiny, **settings)


def test_streamed_data(tiny, x64):
    def data():
        return jaxnn.data.Data(jaxnn.data.stream(tiny.train), jaxnn.data.stream(tiny.val))

    make_recipe = of_model(mlp)
    population = fit_population(make_recipe, {"lr": RATES}, data(), cohort=2, **SETTINGS)
    assert_close(population, make_recipe, data, **SETTINGS)
    with pytest.raises(ValueError, match="own_batches needs arrays"):
        fit_population(
            make_recipe, {"lr": RATES}, data(), keys=[1, 2, 3], own_batches=True, **SETTINGS
        )


def test_a_ragged_batch_of_its_own_for_each_member(tiny, x64):
    make_recipe = of_model(Untold)  # 70 rows in eights: the last batch has a shape of its own
    population = fit_population(
        make_recipe, {"lr": RATES}, tiny, keys=[1, 2, 3], own_batches=True, cohort=2, **SETTINGS
    )
    assert_close(population, make_recipe, lambda: tiny, keys=[1, 2, 3], **SETTINGS)


def test_steps_skipped_for_one_member_alone(tiny):
    def make_recipe(knobs):
        return jaxnn.Recipe(
            mlp(),
            jaxnn.losses.softmax_cross_entropy,
            jaxnn.optim.sgd(knobs["lr"]),
            skip_nonfinite=2,
        )

    knobs = {"lr": np.array([0.1, 1e38, 0.2])}
    population = fit_population(make_recipe, knobs, tiny, cohort=2, **SETTINGS)
    assert population.fates[0] == population.fates[2] == "trained to epoch 2"
    assert population.fates[1].startswith("diverged at step")
    for leaf in jax.tree.leaves(population[1].state.params):
        assert np.isfinite(leaf).all()
