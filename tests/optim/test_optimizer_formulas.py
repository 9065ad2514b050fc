"""Every optimizer computes its formula: NumPy, Optax and a closed form say the same."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import assert_leaves_close, distance, ulps
from optimizer_table import EVERY_ROW, EVERY_ROW_WITH_TWIN, TABLE

HALVES = pytest.mark.parametrize("half", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])


@EVERY_ROW
def test_numpy_transcription_over_100_steps(row, x64, train):
    rng = np.random.default_rng(2)
    params, grads = rng.normal(size=(4, 3)), rng.normal(size=(100, 4, 3))
    *_, expected = row.numpy(params, grads, **row.values)
    actual = jax.jit(partial(train, row.make()))(params, grads)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


@EVERY_ROW
def test_numpy_transcription_with_knobs_away_from_their_defaults(row, x64, train):
    rng = np.random.default_rng(3)
    params, grads = rng.normal(size=(4, 3)), rng.normal(size=(20, 4, 3))
    run = jax.jit(lambda knobs: train(row.factory(**knobs), params, grads))
    for name, knob in row.knobs.items():
        for value in knob.sweep:
            knobs = row.values | {name: value}
            *_, expected = row.numpy(params, grads, **knobs)
            actual = run(knobs)
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12, err_msg=f"{knobs}")


@EVERY_ROW_WITH_TWIN
def test_optax_over_200_steps(row, params, grads, train, request):
    def run(tx, dtype):
        wide = [jax.tree.map(lambda x: jnp.asarray(x, dtype), t) for t in (params, grads(200))]
        return jax.jit(partial(train, tx))(*wide)

    ours32, theirs32 = (run(tx, "float32") for tx in (row.make(), row.optax(**row.values)))
    request.getfixturevalue("x64")
    ours64, theirs64 = (run(tx, "float64") for tx in (row.make(), row.optax(**row.values)))
    assert_leaves_close(ours64, theirs64, 1e-12)
    # In float32 Optax loses digits of 1 - b^t: up to 4e-6 over these steps, where we lose
    # 4e-7. So the truth is its float64, to 1e-6 or as near as its float32 comes to it.
    for ours, theirs, truth in zip(
        *(jax.tree.leaves(tree) for tree in (ours32, theirs32, theirs64)), strict=True
    ):
        assert ours.dtype == np.float32
        assert distance(ours, truth) <= max(1e-6, 1.1 * distance(theirs, truth))


@HALVES
@EVERY_ROW_WITH_TWIN
def test_optax_within_2_ulp_after_one_step_in_half_precision(row, half, params, grads):
    params = jax.tree.map(lambda p: p.astype(half), params)
    # Away from 0: the square of 0.005, times 1 - b2, is 0 in float16, and Adam's step no number.
    g = jax.tree.map(lambda g: jnp.asarray(g[0] + np.copysign(0.1, g[0]), half), grads(1))
    ours, theirs = row.make(), row.optax(**row.values)
    ours, _ = ours.update(g, ours.init(params), params)
    theirs, _ = theirs.update(g, theirs.init(params), params)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.isfinite(np.asarray(b, np.float32)).all()
        assert ulps(a, b).max() <= 2


@EVERY_ROW
def test_converges_on_a_noisy_quadratic(row):
    r"""$\tfrac12 x^\top A x - b^\top x$ with a noisy gradient; the minimum is at $A^{-1} b$."""
    rng = np.random.default_rng(4)
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    a = rotation @ np.diag([0.5, 1.0, 1.5, 2.0, 4.0]) @ rotation.T
    b = rng.normal(size=5)
    minimum = np.linalg.solve(a, b)
    tx, start = row.make(**row.quadratic), jnp.asarray(minimum + 3.0, jnp.float32)
    a, b = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)

    @jax.jit
    def descend(noise):
        def step(carry, xi):
            x, state = carry
            updates, state = tx.update(a @ x - b + 0.1 * xi, state, x)
            x = optax.apply_updates(x, updates)
            return (x, state), x

        return jax.lax.scan(step, (start, tx.init(start)), noise)[1]

    path = descend(jnp.asarray(rng.normal(size=(2000, 5)), jnp.float32))
    assert np.linalg.norm(path[-1] - minimum) < 0.05 * np.linalg.norm(start - minimum)
    # The noise has mean 0, so the mean of the last half is nearer still.
    assert np.linalg.norm(path[1000:].mean(0) - minimum) < 0.01 * np.linalg.norm(start - minimum)


@EVERY_ROW
def test_rate_scale_multiplies_the_update(row, params, grads):
    tx = row.make()
    g = jax.tree.map(lambda g: jnp.asarray(g[0]), grads(1))
    state = tx.init(params)
    for _ in range(2):  # the second time there is a history
        plain, after = tx.update(g, state, params)
        scaled, after_scaled = tx.update(g, state, params, rate_scale=jnp.float32(0.25))
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, 0.25 * b), scaled, plain)
        jax.tree.map(np.testing.assert_array_equal, after_scaled, after)
        state = after


@pytest.mark.parametrize(  # the other rows have a schedule of their own already
    "row", [row for row in TABLE if "learning_rate" in row.knobs], ids=lambda row: row.name
)
def test_a_schedule_is_read_at_0_1_2(row, params, grads):
    asked = []

    def schedule(count):
        asked.append(int(count))
        return jnp.asarray([0.5, 0.25, 0.125])[count]

    scheduled = row.make(learning_rate=schedule)
    constant = row.make(learning_rate=0.5)
    g = jax.tree.map(lambda g: jnp.asarray(g[0]), grads(1))
    state = scheduled.init(params)
    for count in range(3):
        updates, state = scheduled.update(g, state, params)
        if count == 0:
            expected, _ = constant.update(g, constant.init(params), params)
            assert_leaves_close(updates, expected, 1e-7)
    assert sorted(set(asked)) == [0, 1, 2]
