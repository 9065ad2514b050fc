"""Whole epochs are whole, whatever the number of steps in one, also in float32."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.optim import schedules

EVERY_5 = schedules.step(1.0, every=5)
PIECES = schedules.piecewise_constant([5, 10, 55], [1.0, 0.5, 0.25, 0.125])
EPOCHS = np.array([5, 10, 15, 55, 100])


def test_a_drop_is_at_the_first_step_of_an_epoch():
    for steps_per_epoch in range(1, 1001):
        at = EPOCHS * steps_per_epoch
        counts = jnp.asarray(np.stack([at - 1, at]), jnp.int32)
        drops = schedules.in_epochs(EVERY_5, steps_per_epoch)(counts)
        expected = 0.5 ** np.stack([EPOCHS // 5 - 1, EPOCHS // 5])
        np.testing.assert_array_equal(drops, expected, err_msg=f"{steps_per_epoch}")
        pieces = schedules.in_epochs(PIECES, steps_per_epoch)(counts)
        np.testing.assert_array_equal(
            pieces, [[1, 0.5, 0.25, 0.25, 0.125], [0.5, 0.25, 0.25, 0.125, 0.125]]
        )


def test_compiled_too():
    """XLA may divide otherwise in a compiled program: all of these in one."""
    chosen = [1, 3, 7, 17, 29, 49, 98, 107, 161, 187, 390, 391, 639, 977, 999, 46_875]

    @jax.jit
    def all_at_once(epochs):
        return [
            schedules.in_epochs(EVERY_5, n)(jnp.stack([epochs * n - 1, epochs * n])) for n in chosen
        ]

    for n, values in zip(chosen, all_at_once(jnp.asarray(EPOCHS)), strict=True):
        expected = 0.5 ** np.stack([EPOCHS // 5 - 1, EPOCHS // 5])
        np.testing.assert_array_equal(values, expected, err_msg=f"{n}")


@pytest.mark.parametrize("traced", [False, True])
def test_step_drops_exactly_at_whole_intervals_in_float32(traced):
    """Also where the interval is a constant of the compiled program, and for large counts."""
    intervals = [3, 7, 29, 41, 47, 49, 55, 61, 82, 83, 94, 97, 98, 103, 107, 390, 977, 46_875]
    k = np.array([1, 2, 3, 10, 20])

    @jax.jit
    def all_at_once(k, traced_intervals):
        chosen = traced_intervals if traced else intervals
        return [
            schedules.step(1.0, every=every, factor=0.5)(jnp.stack([k * whole - 1, k * whole]))
            for every, whole in zip(chosen, intervals, strict=True)
        ]

    floats = [jnp.float32(every) for every in intervals]
    for every, values in zip(intervals, all_at_once(jnp.asarray(k), floats), strict=True):
        np.testing.assert_array_equal(values, 0.5 ** np.stack([k - 1, k]), err_msg=f"{every}")


@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0])
def test_a_restart_is_at_its_step(factor):
    """In float32 a logarithm says which wave it is; its rounding must not move a restart."""
    at = np.cumsum(10 * factor ** np.arange(4)).astype(int)
    schedule = jax.jit(schedules.cosine_restarts(1.0, 10, t_mul=factor))
    np.testing.assert_array_equal(schedule(at), np.ones(4))
    assert (np.asarray(schedule(at - 1)) < 0.1).all()


def test_in_epochs_hands_on_epochs_that_are_not_whole():
    seen = schedules.in_epochs(lambda epoch: epoch, 10)
    np.testing.assert_allclose([seen(25), seen(0), seen(9)], [2.5, 0.0, 0.9], rtol=1e-7)
