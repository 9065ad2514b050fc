"""Refusals at the boundary: what is refused, with which words, and what passes."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.arguments import (
    check_choice,
    check_knob,
    check_positive_int,
    is_concrete,
    missing_extra,
)

INF = np.inf


@pytest.mark.parametrize(
    ("value", "low", "high", "options", "allowed"),
    [
        (1.5, 0, 1, {}, "[0, 1]"),
        (-0.1, 0, 1, {}, "[0, 1]"),
        (1, 0, 1, {"high_open": True}, "[0, 1)"),
        (0, 0, 1, {"low_open": True}, "(0, 1]"),
        (0.0, 0, INF, {"low_open": True}, "(0, inf)"),
        (np.nan, 0, 1, {}, "[0, 1]"),
        (np.nan, -INF, INF, {}, "(-inf, inf)"),
        (np.float32(2), 0, 0.5, {}, "[0, 0.5]"),
    ],
)
def test_knob_outside_its_range(value, low, high, options, allowed):
    with pytest.raises(ValueError, match=f"^name must be in {re.escape(allowed)}, got {value}$"):
        check_knob("name", value, low, high, **options)


@pytest.mark.parametrize(
    ("value", "low", "high", "options"),
    [
        (0, 0, 1, {}),
        (1, 0, 1, {}),
        (0.999, 0, 1, {"high_open": True}),
        (1e-30, 0, 1, {"low_open": True}),
        (-1e30, -INF, INF, {}),
        (np.float16(0.5), 0, 1, {}),
        (jnp.bfloat16(0.5), 0, 1, {}),
        ([0.0, 1.0], 0, 1, {"array": True}),
        (jnp.linspace(0, 1, 5), 0, 1, {"array": True}),
    ],
)
def test_knob_inside_its_range(value, low, high, options):
    check_knob("name", value, low, high, **options)


def test_one_bad_entry_of_an_array_of_knobs_is_enough():
    for values in ([0.1, 1.1], [0.1, np.nan]):
        with pytest.raises(ValueError, match="name must be in"):
            check_knob("name", jnp.asarray(values), 0, 1, array=True)


@pytest.mark.parametrize("value", [None, "0.5", "half", {}, object(), 1j, [[1.0], [1.0, 2.0]]])
def test_knob_that_is_no_number(value):
    with pytest.raises(TypeError, match=r"^name must be a number, got "):
        check_knob("name", value, 0, 1)


def test_a_tracer_is_not_looked_at():
    seen = []

    @jax.jit
    def inside(value):
        seen.append(is_concrete(value))
        check_knob("name", value, 0, 1)
        return value

    inside(7.0)
    assert seen == [False]
    assert is_concrete(7.0) and is_concrete(jnp.ones(2)) and is_concrete(np.ones(2))


@pytest.mark.parametrize("value", [1, 30, np.int32(4), np.uint8(4), jnp.int32(4), 2**40])
def test_positive_int(value):
    result = check_positive_int("epochs", value)
    assert type(result) is int and result == value


@pytest.mark.parametrize(
    "value", [0, -3, 1.0, 2.5, True, np.True_, "3", None, np.float32(3), np.ones(2, int), np.nan]
)
def test_not_a_positive_int(value):
    with pytest.raises(ValueError, match=r"^epochs must be a positive integer, got ") as error:
        check_positive_int("epochs", value)
    assert repr(value) in str(error.value)


def test_choice():
    check_choice("mode", "min", ("min", "max"))
    with pytest.raises(ValueError, match=r"^mode must be one of 'min', 'max', got 'mni'$"):
        check_choice("mode", "mni", ("min", "max"))


def test_missing_extra_says_what_to_install():
    error = missing_extra("search", "search")
    assert isinstance(error, ImportError)
    assert 'pip install "jaxnn[search]"' in str(error)
