"""Hundreds of settings on the digits: how they are drawn, halved, told and resumed."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from experiments import population_digits
from experiments.population_digits import Config, Range, draw_knobs

SMALL = Config(
    members=6, epochs=3, factor=2, first_rung=1, hidden=(8,), best=2, cohort=6, devices=1
)


def test_the_examples():
    failed, tried = doctest.testmod(population_digits)
    assert failed == 0 and tried >= 2


def test_settings_fill_their_ranges_evenly():
    config = Config(members=2000, l2=Range(1e-5, 1e-5))
    knobs = draw_knobs(config)
    for name in ("learning_rate", "dropout", "init_scale"):
        knob, scale = getattr(config, name), np.log if name != "dropout" else np.asarray
        low, high = scale(knob.low), scale(knob.high)
        part = np.sort((scale(knobs[name]) - low) / (high - low))
        # Kolmogorov and Smirnov: at 2,000 draws a distance of 0.044 has a probability of 0.001.
        assert np.abs(part - (np.arange(2000) + 0.5) / 2000).max() < 0.044, name
    assert np.allclose(knobs["l2"], 1e-5)
    assert abs(np.corrcoef(np.log(knobs["learning_rate"]), knobs["dropout"])[0, 1]) < 0.1


def test_a_setting_depends_on_its_number_and_the_seed_alone():
    few, many = draw_knobs(Config(members=3)), draw_knobs(Config(members=20))
    other = draw_knobs(Config(members=3, seed=1))
    for name, column in few.items():
        np.testing.assert_array_equal(column, many[name][:3])
        assert not np.isin(other[name], many[name]).any()


def test_it_halves_tells_and_resumes(tmp_path, capsys):
    config = replace(SMALL, folder=tmp_path / "first")
    population = population_digits.main(config)
    told = capsys.readouterr().out
    table = population.table()
    assert np.bincount(table["epochs"]).tolist() == [0, 3, 1, 2]  # 6, then 3, then 2
    lines = told[told.index("setting ") :].splitlines()
    rows = [line.split() for line in lines[1:3]]
    order = table["member"][np.argsort(table["val/loss"])]
    assert [int(row[0]) for row in rows] == order[:2].tolist()
    for row in rows:
        member = table[int(row[0])]
        assert float(row[1]) == pytest.approx(member["val/loss"], abs=1e-4)
        assert float(row[2]) == pytest.approx(member["val/accuracy"], abs=1e-4)
        assert float(row[4]) == pytest.approx(member["learning_rate"], rel=0.06)
    assert "11 member-epochs" in told and "61% of the 18" in told
    assert (tmp_path / "first/report.html").exists()
    assert json.loads((tmp_path / "first/config.json").read_text())["settings"]["members"] == 6

    again = population_digits.main(replace(SMALL, resume=tmp_path / "first"))
    np.testing.assert_array_equal(again.table()["val/loss"], table["val/loss"])
    with pytest.raises(ValueError, match="knobs"):
        population_digits.main(replace(SMALL, seed=1, resume=tmp_path / "first"))


@pytest.mark.slow
def test_the_numbers_that_the_program_promises(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "experiments.population_digits"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in re.findall(r"^ +\d+ .*$", result.stdout, re.M)]
    assert len(rows) == 5
    assert max(float(row[3]) for row in rows) > 0.96  # of the test part
    assert "1,564 member-epochs" in result.stdout and "11% of the 13,824" in result.stdout
