"""Every knob of every optimizer: what is refused, and when."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimizer_table import EVERY_KNOB


@EVERY_KNOB
@pytest.mark.parametrize("form", [float, np.float64, jnp.float32], ids=["float", "numpy", "jax"])
def test_a_concrete_value_outside_its_range_is_refused_by_name(row, knob, form):
    for bad in (*row.knobs[knob].bad, np.nan):
        name, allowed = row.knobs[knob].called or knob, re.escape(row.knobs[knob].allowed)
        message = rf"^{name} must be in {allowed}, got {form(bad)}$"
        with pytest.raises(ValueError, match=message.replace("+", r"\+")):
            row.make(**{knob: form(bad)})


@EVERY_KNOB
def test_values_inside_the_range_are_taken(row, knob):
    for value in row.knobs[knob].sweep:
        row.make(**{knob: value})


@EVERY_KNOB
def test_what_is_no_number_is_refused_by_name(row, knob):
    name = row.knobs[knob].called or knob
    with pytest.raises(TypeError, match=rf"^{name} must be a number, got"):
        row.make(**{knob: [object()]})


@EVERY_KNOB
def test_a_traced_value_is_not_looked_at(row, knob, params):
    def update(value):
        tx = row.make(**{knob: value})
        return row.update(tx, params, tx.init(params), params)[0]

    for bad in row.knobs[knob].bad:  # the boundary of fit checks what is behind a tracer
        shapes = jax.eval_shape(update, jnp.float32(bad))
        assert shapes["dense"]["kernel"].shape == (16, 8)


@EVERY_KNOB
def test_a_schedule_is_taken_or_refused_by_name(row, knob):
    """Where a schedule has no meaning, it is not taken and then fails at `init`."""
    schedule = lambda count: jnp.asarray(row.knobs[knob].value)  # noqa: E731
    if row.knobs[knob].scheduled:
        row.make(**{knob: schedule})
    else:
        with pytest.raises(TypeError, match=rf"^{knob} must be a number, got"):
            row.make(**{knob: schedule})


@EVERY_KNOB
def test_a_misspelt_knob_is_refused(row, knob):
    with pytest.raises(TypeError, match=f"{knob}_"):
        row.make(**{f"{knob}_": 0.5})
