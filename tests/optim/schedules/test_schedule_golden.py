"""Schedules against numbers from the test suites of other projects, and convention D8."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import CONVENTIONS, cases, ratio
from golden_schedules import WORDS, build_schedule

from jaxnn.optim import schedules


def values(case, **changes):
    steps = jnp.asarray(case["inputs"]["steps"])
    return jax.jit(build_schedule(case, **changes))(steps)


@cases("schedule")
def test_golden_schedule(case, x64):
    assert ratio(values(case), case) <= 1


@cases("schedule", only=lambda case: case["check"]["rejected"])
def test_golden_conventions(case, x64):
    compared = 0
    for label, worst in case["check"]["worst_ratio_to_tolerance"].items():
        if label in WORDS:
            compared += 1
            distance = ratio(values(case, **WORDS[label]), case)
            assert (distance > 1) == (label in case["check"]["rejected"]), label
            if worst > 1:
                np.testing.assert_allclose(distance, worst, rtol=1e-3, err_msg=label)
    assert compared, f"none is ours of {case['check']}"


D8 = {"clamp (Keras, Optax)": True, "no clamp (PyTorch, burn)": False}


@pytest.mark.parametrize("side", D8)
def test_each_side_of_d8_gives_its_numbers_and_not_the_others(side, x64):
    case = CONVENTIONS["D8"]
    assert set(case["expected_by_convention"]) == set(D8)
    settings = case["settings"]
    schedule = schedules.cosine(settings["init"], settings["steps"], clamp=D8[side])
    ours = schedule(jnp.asarray(case["inputs"]["steps"]))
    for name, expected in case["expected_by_convention"].items():
        assert np.allclose(ours, expected, rtol=0, atol=1e-12) == (name == side), name
