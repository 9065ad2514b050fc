"""Every knob of every optimizer: which values are refused, and when."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimizer_table import EVERY_ROW


@EVERY_ROW
def test_concrete_values_are_taken_in_the_range_and_refused_by_name_outside(row):
    for name, knob in row.knobs.items():
        for form in (float, np.float64, jnp.float32):
            for good in knob.sweep:
                row.make(**{name: form(good)})
            for bad in (*knob.bad, np.nan):
                message = f"{name} must be in {knob.allowed}, got {form(bad)}"
                with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                    row.make(**{name: form(bad)})
        with pytest.raises(TypeError, match=rf"^{name} must be a number, got"):
            row.make(**{name: [object()]})


@EVERY_ROW
def test_a_traced_value_is_not_looked_at(row, params):
    """The boundary of `fit` checks the values behind tracers."""

    def update(knobs):
        tx = row.make(**knobs)
        return row.update(tx, params, tx.init(params), params)[0]

    bad = {name: jnp.float32(knob.bad[0]) for name, knob in row.knobs.items()}
    assert jax.eval_shape(update, bad)["dense"]["kernel"].shape == (16, 8)


@EVERY_ROW
def test_a_schedule_is_taken_or_refused_by_name(row):
    """A knob that cannot be scheduled refuses a schedule in the factory, not at `init`."""
    for name, knob in row.knobs.items():
        schedule = lambda count, value=knob.value: jnp.asarray(value)  # noqa: E731
        if knob.scheduled:
            row.make(**{name: schedule})
        else:
            with pytest.raises(TypeError, match=rf"^{name} must be a number, got"):
                row.make(**{name: schedule})


@EVERY_ROW
def test_a_misspelt_knob_is_refused(row):
    for name in row.knobs:
        with pytest.raises(TypeError, match=f"{name}_"):
            row.make(**{f"{name}_": 0.5})
