"""A probe that sees every k-th step: which steps those are, and that the training is the same."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from closeness import assert_same_bits

import jaxnn
from jaxnn.inspect import Average, GradientNorm, LossDecrease, standard_probes
from jaxnn.population import fit_population
from jaxnn.train.loop.due import due_sets, is_due

RNG = np.random.default_rng(1)
DATA = {
    "x": RNG.normal(size=(40, 4)).astype(np.float32),
    "y": RNG.integers(0, 3, 40).astype(np.int32),
}
RECIPE = jaxnn.Recipe(
    jaxnn.nn.MLP((7, 3)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.momentum(0.3, 0.9)
)
NORMALIZED = replace(RECIPE, model=jaxnn.nn.MLP((7, 3), normalization="batch"))
EPOCHS = 4
# Batches of 16: three steps an epoch, the last with 8 rows, which a model with batch
# normalization takes in a shape of its own.
CADENCES = (1, 2, 3, 4, 100)


def fit(probes, recipe=RECIPE, data=DATA, **arguments):
    arguments = {"epochs": EPOCHS, "batch_size": 16, "key": 3, **arguments}
    return jaxnn.fit(recipe, data, probes=probes, **arguments)


def mean_loss(every):
    return Average(lambda trace: {f"every {every}": trace.loss}, needs=("loss",), every=every)


PROBES = [mean_loss(every) for every in CADENCES]
WAYS = {
    "plain": {},
    "in calls of two steps": {"steps_per_call": 2},
    "ragged": {"recipe": NORMALIZED},
    "streamed": {"data": jaxnn.data.stream(DATA)},
    "sharded": {"devices": "sharded"},
    "pmap": {"devices": "pmap"},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_whose_number_divides(way):
    plain, probed = (fit(probes, **WAYS[way]) for probes in ([], PROBES))
    assert_same_bits(probed.state.params, plain.state.params)
    losses = plain.history.step_series("loss").reshape(EPOCHS, -1)
    clocks = np.arange(losses.size).reshape(losses.shape)
    for every in CADENCES:
        seen = np.where(clocks % every == 0, losses, np.nan)
        expected = [np.nan if np.isnan(row).all() else np.nanmean(row) for row in seen]
        np.testing.assert_allclose(probed.history.series(f"every {every}"), expected, rtol=1e-5)


def test_a_resumed_run_sees_the_same_steps(tmp_path):
    """The number of a step is counted from the start of the run."""
    probes = [GradientNorm(), mean_loss(4)]
    straight = fit(probes)
    fit(probes, epochs=1, folder=tmp_path / "run")
    resumed = fit(probes, resume=tmp_path / "run")
    name = "every 4"
    np.testing.assert_array_equal(straight.history.series(name), resumed.history.series(name))


@pytest.mark.slow
def test_members_see_what_a_run_alone_sees():
    """A population of five in cohorts of three, at two cadences, with the standard set."""
    probes = (*standard_probes(every=2, costly_every=3), mean_loss(2))

    def make_recipe(knobs):
        return replace(RECIPE, optimizer=jaxnn.optim.sgd(knobs["lr"]))

    rates = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    settings = {"epochs": 2, "batch_size": 16, "key": 3}
    population, unprobed = (
        fit_population(make_recipe, {"lr": rates}, DATA, probes=each, cohort=3, **settings)
        for each in (probes, ())
    )
    for i, rate in enumerate(rates):
        assert_same_bits(population[i].state.params, unprobed[i].state.params)
        alone = jaxnn.fit(
            make_recipe, DATA, knobs={"lr": float(rate)}, probes=probes, **settings
        ).history.epochs[-1]
        member = population[i].history.epochs[-1]
        for part in ("values", "arrays"):
            found, expected = getattr(member, part), getattr(alone, part)
            for name in expected:
                if not name.startswith(("seconds", "examples", "learning_rate")):
                    np.testing.assert_allclose(
                        found[name], expected[name], rtol=2e-3, atol=1e-5, err_msg=name
                    )


def test_a_cadence_must_be_a_positive_integer():
    with pytest.raises(ValueError, match="every must be a positive integer, got 0"):
        GradientNorm(every=0)
    with pytest.raises(ValueError, match="every of the probe Unchecked must be a positive"):
        fit([Unchecked()])


class Unchecked(LossDecrease):
    every = 0

    def __init__(self):
        pass


def test_every_step_is_due_in_one_loop():
    sets = due_sets([GradientNorm(every=k) for k in (1, 2, 3)])
    assert sets == ((), (2,), (3,), (2, 3))
    for clock in range(12):
        due = [s for s in sets if is_due(s, sets, jax.numpy.int32(clock))]
        assert due == [tuple(k for k in (2, 3) if clock % k == 0)]
