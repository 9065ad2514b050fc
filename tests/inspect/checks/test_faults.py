"""Each planted fault is found by its check, and a healthy recipe passes all."""

from __future__ import annotations

import pytest
from fault_table import FAULTS

from jaxnn.inspect import check
from jaxnn.inspect.checks import CHECKS

BY_NAME = {one.name: one for one in CHECKS}


def rows(names):
    return [
        pytest.param(name, marks=pytest.mark.slow if FAULTS[name].slow else []) for name in names
    ]


@pytest.mark.parametrize("name", rows(FAULTS))
def test_a_planted_fault_is_found(name):
    fault = FAULTS[name]
    recipe, data = fault.make()
    found = BY_NAME[fault.check](recipe, data, 0)
    assert found.status == "failed", found.explain()
    assert fault.where in found.where, found.explain()
    assert found.remedy
    assert found.source
    assert "\n" not in str(found)


def test_every_check_has_a_planted_fault():
    assert {fault.check for fault in FAULTS.values()} == set(BY_NAME)
    assert len(FAULTS) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_no_check_without_an_answer(name):
    recipe, data = FAULTS[name].make()
    report = check(recipe, data, 0)
    assert FAULTS[name].check in {found.name for found in report.failed}, report.explain()
    assert all(found.message for found in report)
