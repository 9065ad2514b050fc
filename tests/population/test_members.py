"""A member is its run alone, and its bits depend on the width of its cohort alone."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from crowd import alone, knobs, make_recipe, trained

import jaxnn
from jaxnn.population import fit_population, successive_halving
from jaxnn.population.members.fates import has_diverged

STOPPED, RUINED = 0, 3
ALL = range(6)


@pytest.fixture(scope="module")
def population(tiny):
    return trained(ALL, tiny)


def test_each_member_has_its_own_end(population):
    fates = population.fates
    assert fates[STOPPED].startswith("stopped after epoch")
    assert fates[RUINED].startswith("diverged at step") and "Dense_" in fates[RUINED]
    assert fates[1] == fates[2] == "trained to epoch 6"
    assert len(population[STOPPED].history.epochs) < 6 == len(population[1].history.epochs)
    assert population.table()["epochs"].tolist()[1] == 6


@pytest.mark.parametrize(
    ("chosen", "settings"),
    [
        ((5, 4, 3, 2, 1, 0), {"steps_per_call": 2}),
        ((1,), {}),
        ((2, 2, 2, 2), {}),
        (ALL, {"shrink": successive_halving(2, first=2)}),
    ],
)
def test_a_members_bits_depend_on_nothing_but_the_width(
    tiny, population, same_run, chosen, settings
):
    others = trained(chosen, tiny, **settings)
    for place, member in enumerate(chosen):
        if not others.fates[place].startswith("taken out"):
            same_run(population[member], others[place])


def test_who_is_taken_out_has_what_it_had_then(tiny, population):
    shrunk = trained(ALL, tiny, shrink=successive_halving(2, first=2))
    gone = [i for i in ALL if shrunk.fates[i] == "taken out after epoch 2"]
    assert gone
    for member in gone:
        np.testing.assert_array_equal(
            shrunk[member].history.series("val/loss"),
            population[member].history.series("val/loss")[:2],
        )
    left = [i for i in ALL if i not in gone and not has_diverged(shrunk.fates[i])]
    values = population.history.series("val/loss")[1]
    assert max(values[left]) < min(values[gone])


def test_each_member_is_its_run_alone(tiny, x64):
    population = trained(ALL, tiny)
    for member in ALL:
        if member == RUINED:
            continue
        one, own = alone(member, tiny), population[member]
        assert len(own.history.epochs) == len(one.history.epochs)
        assert int(own.state.clock) == int(one.state.clock)
        for a, b in zip(jax.tree.leaves(own.state), jax.tree.leaves(one.state), strict=True):
            if not jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
        assert own.config["recipe"].keys() == one.config["recipe"].keys()
        np.testing.assert_allclose(own.predict(tiny.val), one.predict(tiny.val), atol=1e-9)


def test_initial_weights_are_those_of_the_run_alone_to_the_bit(tiny):
    def scaled(knobs):
        init = jaxnn.nn.he_normal(knobs["scale"])
        return jaxnn.Recipe(
            jaxnn.nn.MLP((8, 3), kernel_init=init),
            jaxnn.losses.softmax_cross_entropy,
            jaxnn.optim.sgd(0.0 * knobs["scale"]),
        )

    scales = np.array([0.5, 1.0, 3.0])
    settings = {"epochs": 1, "batch_size": 16, "key": 3, "devices": 1}
    population = fit_population(scaled, {"scale": scales}, tiny, cohort=2, **settings)
    for member, scale in enumerate(scales):
        one = jaxnn.fit(scaled, tiny, knobs={"scale": float(scale)}, **settings)
        jax.tree.map(
            np.testing.assert_array_equal, population[member].state.params, one.state.params
        )


def test_members_with_keys_of_their_own(tiny, x64):
    keys = [7, 8, 9]
    # Of one batch without dropout the order of rows does not matter.
    own = {name: float(column[0]) for name, column in knobs([1]).items()} | {"dropout": 0.0}
    settings = {"epochs": 2, "batch_size": 70, "devices": 1}
    population = fit_population(make_recipe, own, tiny, key=1, keys=keys, cohort=2, **settings)
    for member, key in enumerate(keys):
        one = jaxnn.fit(make_recipe, tiny, knobs=own, key=key, **settings)
        for a, b in zip(
            jax.tree.leaves(population[member].state.params),
            jax.tree.leaves(one.state.params),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
        assert population[member].config["key"] == one.config["key"]


def test_members_are_spread_over_devices(tiny, population, same_run):
    spread = trained(ALL, tiny, devices={"members": 4}, cohort=2)
    other = trained((4, 5, 1), tiny, devices=4, cohort=2)
    for place, member in enumerate((4, 5, 1)):
        same_run(spread[member], other[place])
        np.testing.assert_allclose(
            spread[member].history.series("val/loss"),
            population[member].history.series("val/loss"),
            rtol=1e-5,
        )


def test_other_values_compile_nothing_anew(tiny):
    traced = []

    def counted(knobs):
        if isinstance(knobs["lr"], jax.core.Tracer):
            traced.append(knobs)
        return make_recipe(knobs)

    settings = {"epochs": 2, "batch_size": 16, "key": 5, "cohort": 2, "devices": 1}
    fit_population(counted, knobs((1, 2, 4)), tiny, **settings)
    before = len(traced)
    fit_population(counted, knobs((5, 4, 2)), tiny, **settings)
    assert len(traced) == before + 1  # the check that no knob is needed as a plain number


def test_all_predict_and_are_evaluated_in_one_program(tiny, population):
    outputs, values = population.predict(tiny.val), population.evaluate(tiny.val)
    assert outputs.shape == (6, 30, 3)
    for member in (0, 1, 5):
        own = population[member]
        np.testing.assert_allclose(outputs[member], own.predict(tiny.val), atol=1e-5)
        np.testing.assert_allclose(values["loss"][member], own.evaluate(tiny.val)["loss"], 1e-5)


def test_the_best(population):
    best = population.best(2, by="val/loss", over="last")
    last = population.table()["val/loss"]
    order = np.argsort(np.where(np.isfinite(last), last, np.inf))
    assert [run.config["member"] for run in best] == order[:2].tolist()
    assert len(population.best(9, by="val/accuracy")) == 5  # one of the six has diverged
    with pytest.raises(ValueError, match="by must be a value"):
        population.best(by="val/nothing")


def test_a_frame_has_a_row_a_member(population):
    frame = population.to_pandas()
    assert list(frame.index) == list(ALL)
    assert frame.loc[2, "lr"] == 0.003
    assert frame.loc[RUINED, "ended"] == population.fates[RUINED]


def test_every_member_ruined_is_an_error(tiny):
    with pytest.raises(FloatingPointError, match="every member has diverged"):
        trained((3, 3), tiny)


def test_members_with_batches_of_their_own_are_runs_with_their_keys(tiny, x64):
    own = {name: float(column[0]) for name, column in knobs([1]).items()}
    settings = {"epochs": 2, "batch_size": 16, "devices": 1}
    population = fit_population(
        make_recipe, own, tiny, key=1, keys=[7, 8, 9], own_batches=True, cohort=2, **settings
    )
    for member, key in enumerate((7, 8, 9)):
        one = jaxnn.fit(make_recipe, tiny, knobs=own, key=key, **settings)
        for a, b in zip(
            jax.tree.leaves(population[member].state.params),
            jax.tree.leaves(one.state.params),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
