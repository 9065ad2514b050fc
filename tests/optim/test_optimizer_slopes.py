"""Derivatives through every optimizer by each of its knobs, where a gradient is exactly 0 too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optimizer_chains import PLATEAU_VALUES
from optimizer_table import TABLE

from jaxnn.optim.moments import bias_correction, root, square_root

UPDATES = 3


def after(row, knobs):
    """Parameters after some updates, the first unit of which never has a gradient."""
    rng = np.random.default_rng(2)
    params = {"kernel": rng.normal(size=(2, 3)), "bias": rng.normal(size=3)}
    grads = jax.tree.map(lambda p: rng.normal(size=(UPDATES, *p.shape)), params)
    for g in grads.values():
        g[..., 0] = 0
    tx = optax.with_extra_args_support(row.factory(**knobs))

    def step(carry, g_and_value):
        params, state = carry
        g, value = g_and_value
        updates, state = tx.update(g, state, params, value=value)
        return (optax.apply_updates(params, updates), state), None

    values = jnp.asarray(PLATEAU_VALUES[:UPDATES], float)
    return jax.lax.scan(step, (params, tx.init(params)), (grads, values))[0][0]


def settings():
    """The knobs of each row as in the table, and without ε, where only a root divides."""
    for row in TABLE:
        yield row.name, row, row.values
        if "eps" in row.knobs:
            yield f"{row.name} without eps", row, {**row.values, "eps": 0.0}


def at_once(function):
    """A function of (row, knobs) for all settings in one program, since compiling takes long."""
    rows = {name: row for name, row, _ in settings()}
    return jax.jit(lambda knobs: {name: function(rows[name], knobs[name]) for name in rows})


def step_of(knob):
    """How far to go for a difference, as a share; an ε is so small that rounding shows before."""
    return 1e-2 if "eps" in knob else 1e-6


def moved(knobs, chosen, sign):
    """All settings, each with its chosen knob moved up or down."""

    def one(name, of):
        return {k: v * (1 + sign * step_of(k) * (chosen.get(name) == k)) for k, v in of.items()}

    return {name: one(name, of) for name, of in knobs.items()}


@pytest.mark.slow
def test_slopes_are_finite_and_those_of_central_differences(x64):
    knobs = {name: {k: jnp.asarray(v, float) for k, v in of.items()} for name, _, of in settings()}
    slopes = at_once(lambda row, of: jax.jacfwd(lambda of: after(row, of))(of))(knobs)
    finite = {
        name: all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(of))
        for name, of in slopes.items()
    }
    assert [name for name, all_of_it in finite.items() if not all_of_it] == []

    value = at_once(after)
    for place in range(max(map(len, knobs.values()))):
        chosen = {name: list(of)[place] for name, of in knobs.items() if place < len(of)}

        up, down = (value(moved(knobs, chosen, sign)) for sign in (1, -1))
        for name, knob in chosen.items():
            size = step_of(knob) * knobs[name][knob]
            for leaf in up[name] if size else ():
                difference = (up[name][leaf] - down[name][leaf]) / (2 * size)
                np.testing.assert_allclose(
                    slopes[name][leaf][knob],
                    difference,
                    rtol=1e-3 if "eps" in knob else 1e-5,
                    atol=1e-6 * np.abs(difference).max(),
                    err_msg=f"{name}, {knob}, {leaf}",
                )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("eps", [(0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3)])
def test_the_root_has_the_bits_of_the_plain_one(dtype, eps):
    limits = jnp.finfo(dtype)
    exponents = np.random.default_rng(0).uniform(limits.minexp - limits.nmant, limits.maxexp, 3000)
    square = np.r_[0.0, np.inf, 2**exponents].astype(dtype)
    inside, outside = (np.asarray(e, dtype) for e in eps)

    def plain(square):
        total = square + inside
        return jnp.sqrt(jnp.where((total == 0) & (outside == 0), jnp.inf, total)) + outside

    ours = jax.jit(lambda square: 1 / square_root(square, *eps))(square)
    assert (
        np.asarray(ours).tobytes() == np.asarray(jax.jit(lambda s: 1 / plain(s))(square)).tobytes()
    )


def test_the_root_has_a_slope_of_0_at_0():
    slope = jax.vmap(jax.grad(root))
    np.testing.assert_allclose(slope(jnp.array([0.0, 4.0, jnp.inf])), [0, 0.25, 0])
    of_square = jax.jvp(lambda g: 3.0 / square_root(g**2, 0.0, 0.5), (0.0,), (1.0,))
    assert of_square == (6.0, 0.0)


def test_bias_correction_has_its_slope_at_0():
    """1 − bᵗ falls with slope 1 at the first update, and is flat at the later ones."""
    value, slope = jax.vmap(jax.value_and_grad(bias_correction), (None, 0))(0.0, jnp.arange(1, 4))
    np.testing.assert_array_equal(value, [1, 1, 1])
    np.testing.assert_array_equal(slope, [-1, 0, 0])
