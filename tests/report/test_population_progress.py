"""The progress of a population: who trains, the best so far, the next rung, the time left."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
from rich.console import Console

from jaxnn.report import Progress
from jaxnn.report.progress import bar
from jaxnn.report.progress.ending import population_ending


def show(progress, population, done=0):
    """Show the epochs behind those that are `done` before a resumption."""
    records = list(population.history.epochs)
    population.history.epochs[:] = records[:done]
    progress.on_start(population)
    for record in records[done:]:
        population.history.epochs.append(record)
        progress.on_epoch(record)
    progress.on_end(population)


@pytest.fixture
def growing(make_population):
    """A population whose records are a plain list."""

    def make(**settings):
        population = make_population(**settings)
        population.history.epochs = list(population.history.epochs)
        return population

    return make


def lines_of(population, done=0):
    text = io.StringIO()
    show(Progress(Console(file=text, force_terminal=False)), population, done)
    return text.getvalue().splitlines()


def test_a_line_an_epoch(growing):
    population = growing(members=16, epochs=6, rungs=(2, 4))
    best = population.history.series("val/accuracy")
    lines = lines_of(population)
    assert lines[0] == "compiling, epoch 1/6"
    assert len(lines) == 8
    for epoch, alive, next_rung in ((1, 15, 2), (2, 14, 4), (3, 8, 4), (4, 8, None), (6, 4, None)):
        line = lines[epoch]
        assert line.startswith(f"epoch {epoch}/6  {alive}/16 alive  best val accuracy ")
        so_far = best[:epoch]
        value, member = re.search(r"accuracy ([\d.]+) \(member (\d+)\)", line).groups()
        assert float(value) == pytest.approx(np.nanmax(so_far), abs=6e-4)
        assert np.nanmax(so_far[:, int(member)]) == np.nanmax(so_far)
        found = re.search(r"next rung: epoch (\d+)", line)
        assert (None if found is None else int(found[1])) == next_rung
    assert "left" not in lines[1]  # what compiles says nothing of the others
    # 14 members took 0.5 s in four cohorts of 4; those that train fill four for four epochs.
    assert lines[2].endswith("30.0 member-epochs/s  at most 0:00:02 left")
    assert lines[6].endswith("32.0 member-epochs/s  0:00:00 left")
    assert (
        lines[7]
        == "all 6 epochs done: 4 trained to epoch 6, 10 taken out, 1 stopped early, 1 diverged"
    )


def test_what_a_resumed_population_had_measured_counts(growing):
    population = growing(members=8, epochs=4)
    population.history.epochs[0].values["val/accuracy"][5] = 2.0
    lines = lines_of(population, done=2)
    assert lines[0] == "compiling, epoch 3/4"
    assert all("best val accuracy 2.00 (member 5)" in line for line in lines[1:3])
    assert lines_of(growing(members=8, epochs=4), done=4)[0].startswith("all 4 epochs done")


@pytest.mark.parametrize("width", [80, 100])
def test_on_a_terminal(growing, width):
    text = io.StringIO()
    environment = {"TERM": "xterm"}
    console = Console(
        file=text, force_terminal=True, color_system=None, width=width, _environ=environment
    )
    show(Progress(console), growing(members=1000, epochs=9, rungs=(3,)))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue()).replace("\r", "\n").splitlines()
    assert any("next rung: epoch 3" in line for line in shown)
    assert any(re.match(r"epoch 9/9 .*━+.* member-epochs/s  0:00:00 left", line) for line in shown)
    assert max(map(len, shown[:-1])) <= width


def test_in_a_notebook(growing, monkeypatch):
    monkeypatch.setattr(bar, "in_notebook", lambda: True)
    text = io.StringIO()
    with redirect_stdout(text):
        show(Progress(), growing(members=8, epochs=3))
    line, end, _ = text.getvalue().split("\n")
    assert line.split("\r")[-1].startswith("epoch 3/3  6/8 alive  best val accuracy")
    assert end == "all 3 epochs done: 6 trained to epoch 3, 1 stopped early, 1 diverged"


def test_nothing_that_has_a_direction(growing):
    population = growing(members=4, epochs=2, names=["val/ece"])
    population.config["directions"] = {}
    assert lines_of(population)[1] == "epoch 1/2  3/4 alive"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "interrupted after epoch 3 of 9: 6 trained to epoch 3, 1 stopped"),
        (FloatingPointError("every member"), "diverged in epoch 3 of 9: every member"),
        (OSError(), "ended by OSError after epoch 3 of 9: 6 trained"),
    ],
)
def test_what_cut_it_short(make_population, error, reason):
    assert population_ending(make_population(members=8, epochs=3, total=9), error).startswith(
        reason
    )


def test_an_error_before_the_members_were_looked_at(make_population):
    population = make_population(members=8, epochs=3, total=9)
    population.fates = []
    assert population_ending(population, OSError()) == "ended by OSError after epoch 3 of 9"
