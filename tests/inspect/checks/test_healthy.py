"""Healthy recipes have a clean bill, whatever the form of model, loss and data."""

from __future__ import annotations

import pytest
from healthy_table import QUICK, SLOW

from jaxnn.inspect import check


@pytest.mark.parametrize("name", QUICK)
def test_a_healthy_recipe_passes(name):
    recipe, data = QUICK[name]()
    report = check(recipe, data, 0)
    assert report.failed == (), report.explain()
    assert len(report.passed) >= 20, str(report)
    report.raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_healthy_recipe_of_another_kind_passes(name):
    recipe, data = SLOW[name]()
    report = check(recipe, data, 0)
    assert report.failed == (), report.explain()
