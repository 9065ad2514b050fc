"""The worst copy the best: a lineage that can be replayed, in a population and alone."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from crowd import make_recipe, trained

import jaxnn
from jaxnn.population import exploit_and_explore, fit_population, replay, scheduled

CHOSEN = (1, 2, 4, 5)
RULE = exploit_and_explore(every=2, fraction=0.5, perturb={"lr": 2.0, "dropout": 1.5})


@pytest.fixture(scope="module")
def evolved(tiny):
    return trained(CHOSEN, tiny, evolve=RULE)


def copied(population):
    """A member that took over another's weights."""
    return next(int(child) for event in population.lineage for child in event["parents"])


def test_the_worst_half_copies_the_best_half(evolved):
    values = evolved.history.series("val/loss")
    assert [event["epoch"] for event in evolved.lineage] == [2, 4]
    for event in evolved.lineage:
        now = values[event["epoch"] - 1]
        children, parents = map(int, event["parents"]), event["parents"].values()
        assert max(now[list(parents)]) <= min(now[list(children)])


def test_knobs_move_by_their_factor(evolved):
    (_, before), (epoch, after), *_ = evolved.schedule(copied(evolved))
    assert epoch == 2
    with np.errstate(invalid="ignore"):
        ratios = {n: np.float64(after[n]) / before[n] for n in ("lr", "dropout")}
    assert any(np.isclose(ratios["lr"], factor) for factor in (2.0, 0.5))
    assert before["dropout"] == 0 or any(
        np.isclose(ratios["dropout"], factor) for factor in (1.5, 1 / 1.5)
    )
    assert after["b1"] == before["b1"]


def test_a_lineage_is_replayed_to_the_bit(tiny, evolved, same_run):
    member = copied(evolved)
    schedule = evolved.schedule(member)
    again = fit_population(
        make_recipe,
        {name: [value] for name, value in schedule[0][1].items()},
        tiny,
        epochs=6,
        batch_size=16,
        key=5,
        cohort=2,
        devices=1,
        evolve=replay(schedule),
    )
    for a, b in zip(
        jax.tree.leaves(again[0].state), jax.tree.leaves(evolved[member].state), strict=True
    ):
        if not jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_lineage_is_replayed_by_a_run_alone(tiny, x64):
    evolved = trained(CHOSEN, tiny, evolve=RULE)
    member = copied(evolved)
    steps = evolved.config["steps_per_epoch"]
    alone = jaxnn.fit(
        scheduled(make_recipe, evolved.schedule(member), steps),
        tiny,
        epochs=6,
        batch_size=16,
        key=5,
        devices=1,
    )
    for a, b in zip(
        jax.tree.leaves(alone.state.params),
        jax.tree.leaves(evolved[member].state.params),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_a_knob_that_leaves_its_range_is_refused(tiny):
    rule = exploit_and_explore(every=1, fraction=0.5, perturb={"b1": 3.0})
    with pytest.raises(ValueError, match=r"moved the knobs of member \d out of range.*bounds="):
        trained(CHOSEN, tiny, evolve=rule)
