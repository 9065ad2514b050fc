"""Every public function refuses bad values in its own words, and takes none in silence.

Each argument of a valid call of each public name is replaced by each value of a pool. The call
then either raises an error of jaxnn's own, which names the argument and what is allowed, or
takes a value that the documentation allows and gives finite numbers for finite ones.
"""

from __future__ import annotations

import gc
import random

import fuzz_table
import jax
import pytest
from fuzz_outcome import CLEAR, RIGHT, SILENT, UNCLEAR, run

SAMPLE, MANY = 300, 6000  # calls in the quick suite, and in the slow tests


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return fuzz_table.table(tmp_path_factory.mktemp("fuzz"))


def test_every_public_name_has_a_valid_call(table):
    named = set(fuzz_table.public_names())
    covered = {row.covers for row in table} | set(fuzz_table.MADE_BY_OTHERS)
    assert sorted(named - covered) == []
    assert sorted(covered - named - set(fuzz_table.MADE_BY_OTHERS)) == []


@pytest.mark.slow
def test_the_valid_calls_are_valid(table):
    for row in table:
        run(row, {})


def wrong(cases) -> list[str]:
    """What is neither clear nor right, a line each."""
    lines = []
    for number, (row, name, bad) in enumerate(cases):
        found = fuzz_table.tried(row, name, bad)
        if found.kind not in (CLEAR, RIGHT):
            lines.append(f"{row.name}({name}={bad}): {found.kind}: {found.why}")
        if number % 1000 == 999:  # shapes never seen again
            jax.clear_caches()
            gc.collect()
    return lines


def test_a_sample_of_bad_calls_is_refused_or_right(table):
    cases = list(fuzz_table.cases([row for row in table if not row.slow]))
    assert wrong(random.Random(11).sample(cases, SAMPLE)) == []


@pytest.mark.slow
def test_many_bad_calls_are_refused_or_right(table):
    assert wrong(random.Random(12).sample(list(fuzz_table.cases(table)), MANY)) == []


def test_the_outcomes_are_told_apart():
    """A harness that calls everything clear would show nothing."""
    from fuzz_kinds import flag, knob
    from fuzz_outcome import Row, outcome

    from jaxnn.arguments import check_knob

    def strict(rate):
        check_knob("rate", rate, 0, 1)
        return rate

    def of(call, bad, **arguments):
        return outcome(Row("mine", arguments, call), next(iter(arguments)), bad).kind

    rate = knob(0.5, "[0, 1]")
    assert of(strict, 2, rate=rate) == CLEAR
    assert of(strict, 0.1, rate=rate) == RIGHT
    assert of(lambda rate: rate + 1, "no", rate=rate) == UNCLEAR
    assert of(lambda rate: rate, 2, rate=rate) == SILENT
    assert of(lambda rate: rate - float("nan"), 0.1, rate=rate) == SILENT
    assert of(lambda on: None, "no", on=flag(True)) == SILENT
    assert of(lambda other: strict(other), 2, other=rate) == UNCLEAR  # names another argument
