"""Every optimizer on numbers that are easily got wrong: complex, 0-d, tiny, huge, ε of 0."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optimizer_table import EVERY_ROW, rows

from jaxnn import optim

REAL_ALONE = {"clip"}  # whose formula has no meaning for complex numbers


def two_steps(row, tx, params, grads):
    state, updates = tx.init(params), None
    for g in grads:
        updates, state = row.update(tx, g, state, params)
        params = optax.apply_updates(params, updates)
    return updates


@pytest.mark.slow
@EVERY_ROW
def test_complex_numbers_are_turned_like_their_gradients_or_refused_at_init(row):
    """Turning every gradient and parameter by a phase turns every step; a real one stays real.

    So |g|² stands where a square does: Optax's own numbers, where it is right, are the same.
    """
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 2), "bias": (2,)}
    real = [
        {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
        for _ in range(3)
    ]
    phase = np.complex64(np.exp(0.7j))
    turned = [jax.tree.map(lambda x: x * phase, tree) for tree in real]
    tx = row.make()
    if row.name in REAL_ALONE:
        with pytest.raises(TypeError, match=r"^clip is defined for real numbers .* at bias$"):
            tx.init(turned[0])
        return
    expected = two_steps(row, tx, real[0], real[1:])
    actual = two_steps(row, tx, turned[0], turned[1:])
    assert actual["kernel"].dtype == np.complex64
    np.testing.assert_allclose(
        np.asarray(actual["kernel"]) / phase, expected["kernel"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
@EVERY_ROW
def test_scalars_are_parameters_too(row):
    """A 0-d leaf moves as the only entry of a vector does."""
    tx = row.make()
    scalar, vector = (
        two_steps(
            row,
            tx,
            {"w": jnp.full(shape, 0.3), "kernel": jnp.ones((1, 1))},
            [{"w": jnp.full(shape, -0.2), "kernel": jnp.ones((1, 1))}] * 2,
        )
        for shape in ((), (1,))
    )
    assert scalar["w"].shape == ()
    np.testing.assert_allclose(scalar["w"], vector["w"][0], rtol=1e-6)


@EVERY_ROW
def test_tree_map_params_reaches_what_is_like_the_params(row):
    params = {"bias": jnp.ones(3), "kernel": jnp.ones((2, 3))}
    tx = row.make()
    state = tx.init(params)
    seen = []
    mapped = optax.tree_utils.tree_map_params(
        tx, lambda leaf: seen.append(leaf.shape) or leaf + 1, state
    )
    assert jax.tree.structure(mapped) == jax.tree.structure(state)
    shaped = [leaf.shape for leaf in jax.tree.leaves(state) if jnp.ndim(leaf)]
    assert sorted(seen) == sorted(shaped)


@rows(lambda row: {"eps"} & set(row.knobs))
def test_with_an_epsilon_of_0_nothing_moves_where_the_root_is_0(row):
    zero = {"eps", "eps_root", "initial_scale", "initial_accumulator_value", "weight_decay"}
    tx = row.make(**dict.fromkeys(zero & set(row.knobs), 0.0))
    params = {"kernel": jnp.asarray([[1.0, 1.0]])}
    grads = {"kernel": jnp.asarray([[0.0, 0.5]])}
    state = tx.init(params)
    for _ in range(2):
        updates, state = row.update(tx, grads, state, params)
        assert updates["kernel"][0, 0] == 0
        assert np.isfinite(updates["kernel"]).all()


HELD = {"eps", "eps_root", "weight_decay", "strength", "max_norm", "max_delta", "c"}


@rows(lambda row: HELD & set(row.knobs))
def test_a_strength_that_float32_does_not_hold_is_refused_at_init(row):
    params = {"kernel": jnp.ones((2, 2))}
    for name in HELD & set(row.knobs):
        for lost in (1e-40, 1e300):
            if name == "weight_decay" and row.knobs[name].allowed == "[0, 1]" and lost > 1:
                continue
            with pytest.raises(ValueError, match=rf"^{name} must be 0 or in .* float32 of kernel"):
                row.make(**{name: lost}).init(params)


@pytest.mark.parametrize("clip", [optim.clip_by_norm, optim.clip_by_global_norm])
def test_clipping_keeps_the_direction_of_gradients_of_every_size(clip):
    tx = clip(1.0)
    for size in (1e-30, 1e-3, 1.0, 1e20, 1e30, 3e38):
        g = jnp.full((2,), size)
        expected = np.full(2, min(size, np.sqrt(0.5)))
        np.testing.assert_allclose(jax.jit(tx.update)(g, tx.init(g))[0], expected, rtol=1e-6)
    for bad in (np.inf, np.nan):
        g = jnp.asarray([1.0, bad])
        assert not np.isfinite(tx.update(g, tx.init(g))[0]).all()
    half = jnp.full((1000,), 6e4, jnp.float16)
    np.testing.assert_allclose(tx.update(half, tx.init(half))[0], 1000**-0.5, rtol=1e-3)


def test_max_norm_of_a_huge_update():
    params, updates = {"kernel": jnp.ones((2, 2))}, {"kernel": jnp.full((2, 2), 1e30)}
    tx = optim.max_norm(1.0)
    new = optax.apply_updates(params, tx.update(updates, tx.init(params), params)[0])
    np.testing.assert_allclose(new["kernel"], np.full((2, 2), np.sqrt(0.5)), rtol=1e-5)


@pytest.mark.parametrize(
    ("mode", "values", "drops"),
    [
        ("min", [-1.0, -1.05, -1.05, -1.05], 1),  # by 5 %: no improvement on −1
        ("min", [-1.0, -1.2, -1.4, -1.7], 0),
        ("max", [-1.0, -0.95, -0.95, -0.95], 1),
        ("max", [-1.0, -0.8, -0.6, -0.4], 0),
        ("min", [1.0, 0.95, 0.95, 0.95], 1),
        ("max", [1.0, 1.2, 1.5, 1.7], 0),
        ("min", [0.0, -0.1, -0.2, -0.3], 0),
    ],
)
def test_a_relative_threshold_is_a_share_of_the_size_of_the_best(mode, values, drops):
    rule = optim.plateau_rule(0.1, patience=3, rtol=0.1, mode=mode)
    state = rule.init()
    for value in values:
        state = rule.update(state, value)
    np.testing.assert_allclose(state.scale, 0.1**drops, rtol=1e-6)


def test_accumulated_values_are_optaxs():
    rule = {"factor": 0.5, "patience": 2, "accumulation_size": 3}
    pair = optim.reduce_on_plateau(**rule), optax.contrib.reduce_on_plateau(**rule)
    g = jnp.ones(2)
    states = [tx.init(g) for tx in pair]
    rng = np.random.default_rng(3)
    for value in 1 + 0.1 * rng.normal(size=60):
        results = [tx.update(g, s, value=value) for tx, s in zip(pair, states, strict=True)]
        states = [state for _, state in results]
        np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][0][0] < 0.5, "nothing was lowered, so this shows nothing"


def test_the_proximal_step_solves_the_lasso():
    r"""With $X^\top X/n = I$ the solution is $S_\lambda(X^\top y/n)$, zeros exact."""
    rng = np.random.default_rng(0)
    x = np.sqrt(40) * np.linalg.qr(rng.normal(size=(40, 8)))[0].astype(np.float32)
    y = x @ np.asarray([2.0, -1, 0.5, 0, 0, 0, 0.05, -0.02]) + 0.1 * rng.normal(size=40)
    strength, rate = 0.2, 0.5
    tx = optax.chain(optim.sgd(rate), optim.soft_threshold(strength, rate))
    params = {"kernel": jnp.ones((8, 1))}
    gradient = jax.grad(lambda p: 0.5 * jnp.mean((x @ p["kernel"][:, 0] - y) ** 2))
    state = tx.init(params)
    for _ in range(60):
        updates, state = tx.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
    raw = x.T @ y / 40
    expected = np.sign(raw) * np.maximum(np.abs(raw) - strength, 0)
    np.testing.assert_allclose(params["kernel"][:, 0], expected, atol=1e-5)
    np.testing.assert_array_equal(params["kernel"][:, 0] == 0, expected == 0)
    assert (expected == 0).sum() >= 4


REFUSED = [
    (lambda: optim.adam([0.1, 0.2]), "learning_rate must be one number, got an array of shape"),
    (lambda: optim.adam(jnp.zeros(0)), "learning_rate must be one number, got an array of shape"),
    (lambda: optim.adam("0.1"), "learning_rate must be a number, got '0.1'"),
    (lambda: optim.adam(None), "learning_rate must be a number, got None"),
    (lambda: optim.adam(0.1, nesterov="no"), "nesterov must be True or False, got 'no'"),
    (lambda: optim.sgd(0.1, 0.9, nesterov=1), "nesterov must be True or False, got 1"),
    (lambda: optim.adam(0.1, mu_dtype="x"), "mu_dtype must be a floating-point dtype"),
    (lambda: optim.sgd(0.1, accumulator_dtype=int), "accumulator_dtype must be a floating-point"),
    (lambda: optim.freeze("a", "adam"), r"optimizer must be an Optax transformation \(init"),
    (lambda: optim.by_path("a", optim.sgd(0.1)), "rules must be a list of pairs"),
    (lambda: optim.parameter_average(warmup="x"), "warmup must be True or False, got 'x'"),
    (lambda: optim.with_decoupled_weight_decay(3, 0.1), "optimizer must be an Optax transf"),
    (lambda: optim.schedules.in_epochs(0.1, 5), "schedule must be a function of the count"),
    (lambda: optim.schedules.warmup(0.1, 5), "schedule must be a function of the count"),
    (lambda: optim.schedules.linear(0.1, 0.0, 5, clamp=0), "clamp must be True or False, got 0"),
    (lambda: optim.schedules.piecewise_constant(3, [1, 2]), "boundaries must be a list of numb"),
    (
        lambda: optim.schedules.polynomial(1.0, 0.0, 1.0, 5, cycle=True, clamp=False),
        "clamp must be True where cycle=True, got False",
    ),
    (lambda: optim.schedules.cyclic(0.0, 1.0, 5, gamma=0.5), "gamma must be given with mode"),
    (lambda: optim.schedules.cosine(1e300, 5), "init_value must be 0 or in .* of the schedule"),
    (lambda: optim.schedules.join(0.1, [5]), "schedules must be a tuple or a list, got 0.1"),
    (lambda: optim.schedules.cosine(0.1, 5)("3"), "count must be an array of real numbers, got"),
    (lambda: optim.plateau_rule(accumulation_size=2**40), "accumulation_size must be at most 2"),
    (lambda: optim.plateau_rule(patience=2**31), "patience must be at most 2147483646"),
    (lambda: optim.freeze(None, optim.sgd(0.1)), 'mask must say which parameters, such as "all"'),
    (lambda: optim.adam(0.1).init({"a": "b"}), "params must be a tree of arrays of numbers, got "),
    (lambda: _step(optim.adam(0.1), {"b": jnp.ones(1)}), "updates must have the structure of the "),
    (lambda: _step(optim.sgd(0.1, 0.9), jnp.ones(1)), "updates must have the structure of the pa"),
    (lambda: _step(optim.adagrad(0.1), {"a": "b"}), "updates must be a tree of arrays of numbers"),
]


def _step(tx, updates):
    return tx.update(updates, tx.init({"a": jnp.ones(1)}))


def _first_step(tx, g):
    params = jnp.zeros_like(g)
    return tx.update(g, tx.init(params), params)[0]


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (optim.adam, "mu_dtype"),
        (optim.lion, "mu_dtype"),
        (partial(optim.sgd, momentum=0.9), "accumulator_dtype"),
    ],
)
def test_an_accumulator_of_its_own_dtype_keeps_both_parts_of_complex_numbers(make, dtype):
    g = jnp.asarray([1 + 2j])
    np.testing.assert_array_equal(
        _first_step(make(0.1, **{dtype: "float32"}), g), _first_step(make(0.1), g)
    )


@pytest.mark.parametrize(
    "make", [optim.sgd, optim.nesterov, lambda d: optim.nadam(0.1, momentum_decay=d)]
)
def test_an_integer_knob_may_be_above_the_integers_of_jax(make):
    g = jnp.ones(1)
    np.testing.assert_array_equal(_first_step(make(2**40), g), _first_step(make(2.0**40), g))


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_no_such_argument_is_refused_by_name(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        call()
