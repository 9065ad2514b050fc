"""Schedules against their formulas, at whole steps, under vmap and in epochs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.optim import schedules

COUNTS = np.arange(41)


def test_constant():
    values = jax.vmap(schedules.constant(0.125))(jnp.asarray(COUNTS))
    np.testing.assert_array_equal(values, np.full(41, 0.125))


@pytest.mark.parametrize(
    ("init_value", "every", "factor"),
    [(0.1, 5, 0.5), (0.1, 20, 0.1), (1.0, 1, 0.96), (3e-4, 7.5, 0.3), (0.0, 3, 0.5), (1, 4, 0.0)],
)
def test_step_is_its_formula(init_value, every, factor, x64):
    schedule = schedules.step(init_value, every=every, factor=factor)
    values = jax.jit(jax.vmap(schedule))(jnp.asarray(COUNTS, jnp.int32))
    expected = init_value * np.float64(factor) ** np.floor(COUNTS / every)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_step_drops_exactly_at_whole_intervals_in_float32():
    """Also for counts so large that a division in float32 could round across the drop."""
    for every in (3, 7, 390, 46_875):
        schedule = jax.jit(schedules.step(1.0, every=every, factor=0.5))
        for k in (1, 2, 10, 20):
            before, at = float(schedule(k * every - 1)), float(schedule(k * every))
            assert (before, at) == (0.5 ** (k - 1), 0.5**k), (every, k)


def test_in_epochs_drops_exactly_at_the_end_of_an_epoch():
    for steps_per_epoch in (17, 29, 390, 46_875):
        schedule = schedules.in_epochs(schedules.step(1.0, every=5), steps_per_epoch)
        for epoch in (5, 10, 55):
            at = epoch * steps_per_epoch
            values = [float(schedule(jnp.int32(count))) for count in (at - 1, at)]
            assert values == [0.5 ** (epoch // 5 - 1), 0.5 ** (epoch // 5)]


def test_in_epochs_hands_on_epochs_that_are_not_whole():
    seen = schedules.in_epochs(lambda epoch: epoch, 10)
    np.testing.assert_allclose([seen(25), seen(0), seen(9)], [2.5, 0.0, 0.9], rtol=1e-7)


def test_every_knob_is_an_axis_of_vmap():
    def value(init_value, every, factor):
        return schedules.step(init_value, every=every, factor=factor)(jnp.int32(10))

    knobs = [jnp.asarray(v, jnp.float32) for v in ([0.5, 1.0, 2.0], [5, 3, 11], [0.1, 0.5, 0.9])]
    np.testing.assert_allclose(
        jax.jit(jax.vmap(value))(*knobs), [0.5 * 0.01, 1.0 * 0.125, 2.0], rtol=1e-6
    )
    np.testing.assert_array_equal(
        jax.vmap(lambda v: schedules.constant(v)(jnp.int32(3)))(knobs[0]), knobs[0]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"init_value": -1.0}, r"init_value must be in \[0, inf\), got -1.0"),
        ({"every": 0}, r"every must be in \(0, inf\), got 0"),
        ({"every": np.nan}, r"every must be in \(0, inf\), got nan"),
        ({"factor": -0.5}, r"factor must be in \[0, inf\), got -0.5"),
    ],
)
def test_refusals_of_step(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedules.step(**({"init_value": 1.0, "every": 5} | arguments))


def test_refusals_of_the_others():
    with pytest.raises(ValueError, match="value must be"):
        schedules.constant(np.nan)
    for bad in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"steps_per_epoch must be a positive.*got {bad}"):
            schedules.in_epochs(schedules.constant(1.0), bad)
