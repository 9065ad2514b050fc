"""Every schedule against its formula in NumPy, its twin in Optax, and itself under `vmap`."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from schedule_table import EVERY_ROW, TABLE, rows

from jaxnn.optim import schedules

COUNTS = np.arange(401)


def settings_of(row):
    """The defaults first, and then each constant away from its own."""
    return [row.values] + [
        row.values | {name: value}
        for name, constant in row.constants.items()
        for value in constant.sweep
    ]


def at_counts(row):
    """`values(constants)`: at all counts; the constants are traced."""
    return jax.jit(lambda constants: row.factory(**constants)(jnp.asarray(COUNTS, jnp.int32)))


@EVERY_ROW
def test_numpy_transcription(row, x64):
    """Also with every constant at other values, each of them an axis of `vmap`."""
    settings = settings_of(row)
    stacked = {name: jnp.asarray([s[name] for s in settings]) for name in row.constants}
    together = jax.jit(jax.vmap(at_counts(row)))(stacked)
    assert together.dtype == np.float64
    for values, constants in zip(together, settings, strict=True):
        expected = row.numpy(COUNTS, **constants)
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-13, err_msg=f"{constants}")


@EVERY_ROW
def test_vmap_over_every_constant_is_a_loop_over_it(row):
    settings = settings_of(row)
    stacked = {
        name: jnp.asarray([s[name] for s in settings], jnp.float32) for name in row.constants
    }
    run = at_counts(row)
    both = jax.jit(lambda stacked: (jax.vmap(run)(stacked), jax.lax.map(run, stacked)))
    together, looped = jax.device_get(both(stacked))
    for mapped, alone in zip(together, looped, strict=True):
        # A cosine of an angle near a zero of it has the rounding of the angle, times the range.
        np.testing.assert_allclose(mapped, alone, rtol=2e-6, atol=5e-5 * np.ptp(alone))
    for i, name in enumerate(row.constants):
        assert np.ptp(together[1 + 3 * i : 4 + 3 * i], axis=0).max() > 1e-4, f"{name} has no effect"


@pytest.mark.slow
@EVERY_ROW
def test_a_count_alone_gives_what_it_gives_in_an_array(row):
    schedule = row.factory(**row.values)
    array = schedule(jnp.asarray(COUNTS))
    assert array.shape == COUNTS.shape
    assert schedule(jnp.asarray(COUNTS[:12].reshape(3, 4))).shape == (3, 4)
    for count in (0, 1, 150, 400):
        for form in (int, np.int32, jnp.int32):
            value = jnp.asarray(schedule(form(count)))
            assert value.shape == () and value.dtype == np.float32
            np.testing.assert_allclose(value, array[count], rtol=1e-5, atol=1e-8)


@rows(lambda row: row.optax is not None)
def test_optax(row, x64):
    for constants in (row.values, settings_of(row)[2]):
        theirs = jax.vmap(row.optax(**constants))(jnp.asarray(COUNTS))
        ours = row.factory(**constants)(jnp.asarray(COUNTS))
        # Optax has some of its schedules in float32 whatever the mode.
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@EVERY_ROW
def test_the_derivative_in_every_constant(row, x64):
    """Against central differences, at a value where no whole step is an edge."""
    run = at_counts(row)
    derivatives = jax.jit(jax.jacfwd(run))({n: jnp.float64(v) for n, v in row.values.items()})
    assert set(derivatives) == set(row.constants)
    for name, value in row.values.items():
        h = 1e-5 * abs(value)
        above, below = (run(row.values | {name: value + d}) for d in (h, -h))
        central = (above - below) / (2 * h)
        scale = np.abs(central).max()
        np.testing.assert_allclose(
            derivatives[name], central, rtol=1e-5, atol=1e-7 * scale + 1e-11, err_msg=name
        )


@EVERY_ROW
def test_the_derivative_is_finite_at_every_edge(row, x64):
    """Forwards and backwards, also at whole boundaries and at constants of 0 and 1."""
    counts = jnp.asarray(np.r_[0:40, 59:62, 99:103, 149:153, 249:252, 299:302])
    total = lambda k: row.factory(**k)(counts).sum()  # noqa: E731
    gradient = jax.jit(jax.vmap(jax.grad(total)))
    settings = settings_of(row)
    stacked = {name: jnp.asarray([s[name] for s in settings]) for name in row.constants}
    for name, leaf in gradient(stacked).items():
        bad = [settings[i] for i in np.flatnonzero(~np.isfinite(leaf))]
        assert not bad, f"{name} at {bad}"


@EVERY_ROW
def test_a_concrete_value_outside_its_range_is_refused_by_name(row):
    for name, constant in row.constants.items():
        called, allowed = constant.called or name, re.escape(constant.allowed)
        for bad in {*constant.bad, np.nan}:
            for form in (float, jnp.float32):
                with pytest.raises(ValueError, match=rf"^{called} must be in {allowed}, got"):
                    row.factory(**(row.values | {name: form(bad)}))
        with pytest.raises(TypeError, match=rf"^{called} must be a number, got"):
            row.factory(**(row.values | {name: "0.1"}))
    # Traced values pass: the boundary of `fit` checks the values behind them.
    bad = {name: jnp.float32(constant.bad[0]) for name, constant in row.constants.items()}
    jax.eval_shape(lambda constants: row.factory(**constants)(0), bad)


@pytest.mark.parametrize("belongs", ["next", "last"])
def test_the_boundary_belongs_to_one_piece(belongs):
    schedule = schedules.piecewise_constant([2, 4], [1.0, 0.5, 0.25], boundary_belongs_to=belongs)
    expected = {"next": [1, 1, 0.5, 0.5, 0.25], "last": [1, 1, 1, 0.5, 0.5]}[belongs]
    np.testing.assert_array_equal(schedule(jnp.arange(5)), expected)


def test_pytorchs_formulas(x64):
    """Its multi-step, cosine annealing, one-cycle and warm restarts, from its documentation."""
    t = np.arange(100)
    steps = schedules.piecewise_constant([30, 80], [0.05, 0.005, 0.0005])
    np.testing.assert_allclose(steps(t), 0.05 * 0.1 ** np.searchsorted([30, 80], t, "right"))
    low, high, half = 0.01, 0.3, 20
    annealing = schedules.cosine(high, half, low / high, clamp=False)
    np.testing.assert_allclose(
        annealing(t), low + 0.5 * (high - low) * (1 + np.cos(np.pi * t / half)), rtol=1e-12
    )
    restarts = schedules.cosine_restarts(high, half, t_mul=1, alpha=low / high)
    np.testing.assert_allclose(
        restarts(t), low + 0.5 * (high - low) * (1 + np.cos(np.pi * (t % half) / half)), rtol=1e-12
    )
    # Optax' restarts are a join of waves, each as long as we say.
    sgdr = optax.sgdr_schedule(
        [
            {"init_value": high, "peak_value": high, "decay_steps": n, "warmup_steps": 0}
            for n in (10, 20, 40, 80)
        ]
    )
    ours = schedules.cosine_restarts(high, 10, t_mul=2)(t)
    np.testing.assert_allclose(ours, [sgdr(i) for i in t], rtol=1e-6, atol=1e-8)
    onecycle = optax.cosine_onecycle_schedule(100, high, 0.25, 10.0, 100.0)
    ours = schedules.one_cycle(high, 100, pct_start=0.25, div_factor=10.0, final_div_factor=100.0)(
        t
    )
    np.testing.assert_allclose(ours, jax.vmap(onecycle)(t), rtol=1e-6)


@pytest.mark.parametrize("boundaries", [[4, 2], [2, 2], [1, 5, 3]])
def test_boundaries_out_of_order_are_refused(boundaries):
    pieces = [schedules.constant(1.0)] * (len(boundaries) + 1)
    for call in (
        lambda: schedules.piecewise_constant(boundaries, [1.0] * len(pieces)),
        lambda: schedules.join(pieces, boundaries),
    ):
        with pytest.raises(ValueError, match=r"boundaries must rise, got \["):
            call()


def test_other_refusals():
    with pytest.raises(ValueError, match=r"values must be one more than the 1 boundaries, got 1"):
        schedules.piecewise_constant([3], [1.0])
    with pytest.raises(ValueError, match=r"schedules must be one more than the 1 boundaries"):
        schedules.join([schedules.constant(1.0)], [3])
    with pytest.raises(ValueError, match="boundary_belongs_to must be one of 'next', 'last'"):
        schedules.piecewise_constant([3], [1.0, 2.0], boundary_belongs_to="first")
    for bad in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"steps_per_epoch must be a positive.*got {bad}"):
            schedules.in_epochs(schedules.constant(1.0), bad)


def test_every_public_schedule_has_a_row():
    covered = {row.name for row in TABLE} | {name for row in TABLE for name in row.covers}
    assert set(schedules.__all__) <= covered
