"""The benchmarks: everyone trains the same, and the table says what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.benchmarks import __main__ as benchmarks
from experiments.benchmarks.competitors import ALONE, COMPETITORS, OURS, make, present
from experiments.benchmarks.race import AGAIN, race
from experiments.benchmarks.startup import startup
from experiments.benchmarks.tasks import TASKS, Set, Start, Task
from experiments.benchmarks.timing import Quartiles, alternate
from experiments.options import chosen_rows

DENSE = Task("dense", (6,), batch=4, batches=1, epochs=3, hidden=(5,))
IMAGES = Task("images", (8, 8, 3), batch=4, batches=1, epochs=3, hidden=(5,), channels=(3, 2))
RESIDUAL = Task("residual", (8, 8, 3), batch=4, batches=1, epochs=3, depth=8)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    config = benchmarks.Config(
        only=("64-32-32-10",),
        peers=("flax",),
        alternations=2,
        steps=2,
        members=2,
        memory=False,
        folder=folder,
    )
    return folder, benchmarks.main(config)


def test_the_table_as_json(written):
    folder, _ = written
    table = json.loads((folder / "table.json").read_text("utf-8"))
    row, members = table["rows"]
    assert (members["members"], set(members["ratios"])) == (2, {ALONE, AGAIN, "Flax loop"})
    assert row["parameters"] == 64 * 32 + 32 + 32 * 32 + 32 + 32 * 10 + 10
    assert set(row["seconds"]) == {OURS, AGAIN, "Flax loop"}
    assert set(row["ratios"]) == {AGAIN, "Flax loop"}
    for found in (*row["seconds"].values(), *row["ratios"].values()):
        assert 0 < found["low"] <= found["median"] <= found["high"]
    assert row["floating_operations"] == 2 * 32 * (2 * 64 * 32 + 3 * 32 * 32 + 3 * 32 * 10)
    assert row["share"][OURS] == pytest.approx(
        row["floating_operations"]
        / row["seconds"][OURS]["median"]
        / table["machine"]["matrix_products_flops"]
    )
    assert (table["fit"], table["startup"]) == ([], [])


def test_the_page(written):
    folder, _ = written
    html = (folder / "page.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img)\b", html)
    labels = re.findall(r'<svg [^>]*aria-label="(.*?)"', html)
    assert len(labels) == 3  # ratios, and the times of each row
    assert "Flax loop</text>" in html


@pytest.mark.slow
@pytest.mark.parametrize("task", [DENSE, IMAGES, RESIDUAL], ids=lambda task: task.name)
def test_everyone_trains_the_same(task):
    # With one batch an epoch the order of rows means nothing; the rest must be the same.
    data, start = Set.of(task), Start.of(task)
    with jax.numpy_rank_promotion("allow"):  # which Keras relies on
        trainers = {name: make(name, task, data, start) for name in (OURS, *present(()))}
        sizes = {trainer.parameters for trainer in trainers.values()}
        assert sizes == {sum(leaf.size for leaf in jax.tree.leaves(start.variables["params"]))}
        losses = {name: trainer() for name, trainer in trainers.items()}
    np.testing.assert_allclose(list(losses.values()), losses[OURS], rtol=1e-4)


@pytest.mark.slow
def test_the_members_train_as_one_alone():
    # The middle one of three has the rate that a network alone has.
    data, start = Set.of(DENSE), Start.of(DENSE)
    alone, three = (make(OURS, replace(DENSE, members=n), data, start) for n in (1, 3))
    assert three.parameters == alone.parameters
    np.testing.assert_allclose(three(), alone(), rtol=0.1)


def test_each_turn_begins_with_another():
    order = []
    taken = alternate({name: partial(order.append, name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert {len(seconds) for seconds in taken.values()} == {3}
    assert Quartiles.of(np.arange(5.0)) == (2.0, 1.0, 3.0)


def test_peers_are_chosen_by_the_beginning_of_their_name():
    assert present(("FLAX",)) == ["Flax loop"]
    assert set(present(())) <= set(COMPETITORS) - {OURS, ALONE}


def test_a_name_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"one of Flax loop.*got 'nosuch'"):
        present(("nosuch",))


def test_the_rows_of_the_readme_are_rows():
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    table = readme[readme.index("| row | batch |") :].partition("\n\n")[0].splitlines()[2:]
    names = [[cell.strip() for cell in line.split("|")[1:3]] for line in table]
    batches = {task.name: str(task.batch) for task in TASKS}
    assert len(names) >= 6
    for name, batch in names:
        assert batches[name] == batch
        assert name in chosen_rows([name.upper()], batches)
    commands = re.findall(r"experiments\.benchmarks`.*?`--only \"(.*?)\"", readme, re.S)
    assert commands and set(commands) <= set(batches)


def test_start_up_compares_cold_with_cold_and_warm_with_warm(monkeypatch):
    started, seconds = [], {}

    def first_epoch(command, cache=None):
        options = dict(part.split("=", 1) for part in command if part.startswith("--"))
        folder = Path(cache or options.get("--compilation-cache", "/none"))
        started.append((command[0], folder, folder.exists() and any(folder.iterdir())))
        if folder != Path("/none"):
            folder.mkdir(exist_ok=True)
            (folder / "program").touch()

    def alternate(works, times):
        started.clear()
        for name, work in works.items():
            work()
            seconds[name] = np.full(times, 2.0 ** len(seconds))
        return seconds

    monkeypatch.setattr("experiments.benchmarks.startup._first_epoch", first_epoch)
    monkeypatch.setattr("experiments.benchmarks.startup.alternate", alternate)
    found = startup("mlp", 3)
    ours, script = "experiments.digits", "experiments.benchmarks.peers.flax_script"
    full = {
        name: [filled for module, _, filled in started if module == name] for name in (ours, script)
    }
    assert full == {ours: [False, True], script: [False, True, False]}  # cold, warm, and cold again
    over = {"jaxnn": "Flax script", "jaxnn, warm cache": "Flax script, warm cache"}
    for name, other in over.items():
        assert found.ratios[name].median == seconds[name][0] / seconds[other][0]


class Idle:
    """A trainer of so many parameters that does not learn."""

    def __init__(self, parameters):
        self.parameters = parameters

    def __call__(self):
        return 1.0


@pytest.mark.parametrize(
    ("parameters", "message"), [(1, "must learn"), (2, "the same number of parameters")]
)
def test_unequal_competitors_are_refused(parameters, message, monkeypatch):
    sizes = {OURS: 1, "Flax loop": parameters}
    monkeypatch.setattr("experiments.benchmarks.race.make", lambda name, *_: Idle(sizes[name]))
    with pytest.raises(RuntimeError, match=message):
        race(DENSE, ["Flax loop"], 1, 1e9)
