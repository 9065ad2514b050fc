"""A population goes on where it was cut off, to the same bits, and is read back whole."""

from __future__ import annotations

import pytest
from crowd import make_recipe, trained

import jaxnn
from jaxnn.population import exploit_and_explore, load_population, successive_halving

ALL = range(6)
HALVED = {"shrink": successive_halving(2, first=2)}
EVOLVED = {
    "evolve": exploit_and_explore(every=2, perturb={"lr": 1.5, "l2": 2.0}, bounds={"l2": (0, 1)})
}


class CutAt:
    """An observer that ends a run as Ctrl-C at the end of an epoch does, but at once."""

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, record):
        if record.epoch == self.epoch:
            raise RuntimeError("cut")


@pytest.mark.parametrize("rules", [{}, HALVED, EVOLVED], ids=["plain", "halved", "evolved"])
@pytest.mark.parametrize("cut", [1, 3])
def test_resumed_to_the_same_bits(tiny, tmp_path, same_run, rules, cut):
    whole = trained(ALL, tiny, **rules)
    settings = {"checkpoint_every": 1, **rules}
    with pytest.raises(RuntimeError, match="cut"):
        trained(ALL, tiny, folder=tmp_path / "p", observers=[CutAt(cut)], **settings)
    resumed = trained(ALL, tiny, resume=tmp_path / "p", **settings)
    read = load_population(tmp_path / "p", make_recipe)
    assert whole.fates == resumed.fates == read.fates
    assert whole.lineage == resumed.lineage == read.lineage
    for member in ALL:
        same_run(whole[member], resumed[member])
        same_run(whole[member], read[member])


def test_a_longer_run_is_the_shorter_one_resumed(tiny, tmp_path, same_run):
    trained(ALL, tiny, epochs=4, folder=tmp_path / "p", **HALVED)
    longer = trained(ALL, tiny, epochs=6, resume=tmp_path / "p", **HALVED)
    whole = trained(ALL, tiny, epochs=6, **HALVED)
    assert longer.fates == whole.fates
    for member in ALL:
        same_run(longer[member], whole[member])


def test_the_width_is_that_of_the_run_so_far(tiny, tmp_path):
    trained(ALL, tiny, epochs=1, cohort=3, folder=tmp_path / "p")
    resumed = trained(ALL, tiny, epochs=2, cohort=None, resume=tmp_path / "p")
    assert resumed.config["population"]["cohort"] == 3


def test_other_knobs_are_another_population(tiny, tmp_path):
    trained((1, 2), tiny, epochs=1, folder=tmp_path / "p")
    with pytest.raises(ValueError, match="resume must be the folder of the same run"):
        trained((1, 4), tiny, epochs=2, resume=tmp_path / "p")


def test_a_population_is_no_run_and_a_run_no_population(tiny, tmp_path):
    trained((1, 2), tiny, epochs=1, folder=tmp_path / "p")
    with pytest.raises(ValueError, match="load_population"):
        jaxnn.load(tmp_path / "p", make_recipe)
    population = load_population(tmp_path / "p", make_recipe)
    population[1].save(tmp_path / "r")
    with pytest.raises(ValueError, match="single run"):
        load_population(tmp_path / "r", make_recipe)
    assert jaxnn.load(tmp_path / "r", make_recipe).config["member"] == 1


def test_saved_and_read(tiny, tmp_path, same_run):
    population = trained((1, 2, 3), tiny, epochs=2)
    read = load_population(population.save(tmp_path / "p"), make_recipe)
    assert read.fates == population.fates
    for a, b in zip(population, read, strict=True):
        same_run(a, b)
