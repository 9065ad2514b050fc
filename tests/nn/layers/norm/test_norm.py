"""Normalization against NumPy, Flax and the oracles; weights, running statistics, refusals."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import CONVENTIONS, cases, look_up, ratio
from layer_formulas import normalized

from jaxnn.nn import BatchNorm, GroupNorm, LayerNorm

KEY = jax.random.key(0)


def inputs(*shape, seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, size=shape)


def eagerly(layer, x, weight=None, stats=None, **params):
    """Outputs and running statistics of one step in training."""
    variables = jax.tree.map(jnp.asarray, dict(layer.init(KEY, x)))
    variables["params"] = variables.get("params", {}) | params
    if stats is not None:
        variables["batch_stats"] = stats
    y, updated = layer.apply(variables, x, train=True, weight=weight, mutable=["batch_stats"])
    return y, updated["batch_stats"]


trained = jax.jit(eagerly, static_argnums=0)


@pytest.mark.parametrize("shape", [(6, 4), (5, 3, 2, 4)], ids=str)
def test_formula_of_batch_norm(shape, x64):
    x, axes = inputs(*shape), tuple(range(len(shape) - 1))
    scale, bias = jnp.arange(1.0, 5.0), jnp.arange(4.0)
    y, stats = trained(BatchNorm(momentum=0.9, epsilon=0.1), x, scale=scale, bias=bias)
    along = (1,) * len(axes) + (4,)
    expected = normalized(x, axes, 0.1) * np.reshape(scale, along) + np.reshape(bias, along)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(stats["mean"], 0.1 * x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * x.var(axes), rtol=1e-12)


PAIRS = [
    (BatchNorm(), nn.BatchNorm(use_running_average=True)),
    (LayerNorm(), nn.LayerNorm()),
    (GroupNorm(num_groups=2), nn.GroupNorm(num_groups=2)),
]


@pytest.mark.parametrize(("ours", "flax"), PAIRS, ids=["batch", "layer", "group"])
def test_same_outputs_as_flax_from_the_same_weights(ours, flax):
    x = inputs(5, 3, 2, 4).astype(np.float32)
    variables = flax.init(KEY, x)
    assert jax.tree.map(jnp.shape, ours.init(KEY, x)) == jax.tree.map(jnp.shape, variables)
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda v: jnp.asarray(v + rng.uniform(size=v.shape), float), variables)
    np.testing.assert_allclose(
        ours.apply(variables, x), flax.apply(variables, x), rtol=2e-5, atol=2e-5
    )


def test_training_as_in_flax():
    x = inputs(5, 3, 2, 4).astype(np.float32)
    y, stats = trained(BatchNorm(), x)
    flax = nn.BatchNorm(use_running_average=False)
    z, updated = flax.apply(flax.init(KEY, x), x, mutable=["batch_stats"])
    np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)
    for name in ("mean", "var"):
        np.testing.assert_allclose(stats[name], updated["batch_stats"][name], rtol=1e-5)


def test_d6_running_variance_biased_or_not():
    case = CONVENTIONS["D6"]
    settings, expected = case["settings"], case["expected_by_convention"]
    x = np.asarray(case["inputs"]["x"])[:, None]
    start = {"mean": jnp.zeros(1), "var": jnp.full(1, settings["start"])}
    for unbiased, name in ((False, "biased"), (True, "unbiased")):
        layer = BatchNorm(momentum=settings["keep"], unbiased=unbiased)
        _, stats = trained(layer, x, stats=start)
        value = next(v for text, v in expected.items() if text.startswith(name))
        np.testing.assert_allclose(stats["var"], value, rtol=1e-6)


def _nhwc(case):
    assert case["settings"].get("layout", "NCHW") == "NCHW"
    return np.moveaxis(np.asarray(case["inputs"]["x"]), 1, -1)


def _batch_norm_train(case):
    y, _ = trained(BatchNorm(epsilon=case["settings"]["epsilon"]), _nhwc(case))
    return np.moveaxis(np.asarray(y), -1, 1)


def _running(which):
    def call(case):
        keep = case["settings"]["keep"]
        return trained(BatchNorm(momentum=keep, unbiased=True), _nhwc(case))[1][which]

    return call


def _layer_norm(case):
    settings, x = case["settings"], np.asarray(case["inputs"]["x"])
    ones = jnp.ones(x.shape[-1])
    params = {"scale": settings["gamma"] * ones, "bias": settings["beta"] * ones}
    return LayerNorm(epsilon=settings["epsilon"]).apply({"params": params}, x)


CALLS = {
    "layer_norm": _layer_norm,
    "batch_norm_train": _batch_norm_train,
    "batch_norm_running_mean": _running("mean"),
    "batch_norm_running_var": _running("var"),
}


@cases("layer", only=lambda case: "norm" in case["name"])
def test_golden(case):
    assert ratio(look_up(CALLS, case["name"], case, "layer")(case), case) <= 1


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("shape", [(6, 4), (6, 3, 2, 4)], ids=str)
def test_rows_of_weight_0_change_nothing(shape, unbiased, x64):
    layer, x = BatchNorm(unbiased=unbiased), inputs(*shape)
    garbage = np.full((3, *shape[1:]), np.nan)
    padded = np.concatenate([x, garbage])
    weight = jnp.asarray([1.0, 0.5, 1, 1, 2, 1, 0, 0, 0])  # how much a row counts does not matter
    run = jax.jit(partial(trained, layer))
    y, stats = run(x)
    z, padded_stats = run(padded, weight=weight)
    np.testing.assert_allclose(z[:6], y, rtol=1e-12, atol=1e-13)
    for name in stats:
        np.testing.assert_allclose(padded_stats[name], stats[name], rtol=1e-12)

    def loss(x, weight):
        y, _ = trained(layer, x, weight=weight)
        return jnp.sum(jnp.sin(y[:6]))

    gradient = jax.jit(jax.grad(loss))
    of_x, of_padded = gradient(x, None), gradient(padded, weight)
    np.testing.assert_allclose(of_padded[:6], of_x, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(of_padded[6:], 0)


def test_weights_per_token(x64):
    x = inputs(4, 5, 3)
    weight = np.random.default_rng(1).integers(0, 2, (4, 5))
    _, stats = trained(BatchNorm(momentum=0), x, weight=jnp.asarray(weight))
    np.testing.assert_allclose(stats["mean"], x[weight > 0].mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats["var"], x[weight > 0].var(0), rtol=1e-12)


def test_a_large_mean_costs_no_digits():
    """E[x²] - E[x]² in float32 would have nothing left of a variance of 1 beside 10⁸."""
    x = (10_000 + np.random.default_rng(0).normal(size=(64, 1))).astype(np.float32)
    y, stats = trained(BatchNorm(momentum=0), x)
    np.testing.assert_allclose(stats["var"], x.astype(float).var(0), rtol=1e-4)
    np.testing.assert_allclose(y, normalized(x.astype(float), 0, 1e-5), atol=2e-3)


def test_momentum_near_1_keeps_its_digits():
    x = inputs(6, 2).astype(np.float32)
    _, stats = trained(BatchNorm(momentum=1 - 1e-7), x)
    np.testing.assert_allclose(stats["mean"], 1e-7 * x.mean(0), rtol=1e-6)


def test_under_pmap_the_statistics_are_those_of_all_devices():
    x = inputs(16, 3).astype(np.float32)
    weight = jnp.ones(16).at[9:].set(0)  # some devices see padding alone, one a single row
    layer = BatchNorm(axis_name="devices")
    run = jax.pmap(lambda x, w: trained(layer, x, weight=w), axis_name="devices")
    y, stats = run(x.reshape(8, 2, 3), weight.reshape(8, 2))
    expected, whole = trained(BatchNorm(), x[:9])
    np.testing.assert_allclose(y.reshape(16, 3)[:9], expected, rtol=1e-5, atol=1e-6)
    for name in whole:
        np.testing.assert_allclose(stats[name], np.tile(whole[name], (8, 1)), rtol=1e-5)


def test_fewer_than_two_rows_are_refused():
    for x, weight in [
        (jnp.ones((1, 4)), None),
        (jnp.ones((1, 8, 8, 4)), None),
        (jnp.ones((5, 4)), jnp.asarray([0, 0, 1.0, 0, 0])),
        (jnp.ones((5, 4)), jnp.zeros(5)),
    ]:
        with pytest.raises(ValueError, match="batch normalization needs at least two rows"):
            eagerly(BatchNorm(), x, weight=weight)
    BatchNorm().apply(BatchNorm().init(KEY, jnp.ones((1, 4))), jnp.ones((1, 4)))  # not in training


def test_behind_a_tracer_one_row_is_nan_and_none_keeps_what_was_running():
    run = jax.jit(lambda x, weight: trained(BatchNorm(), x, weight=weight))
    y, stats = run(jnp.ones((5, 4)), jnp.asarray([0, 0, 1.0, 0, 0]))
    assert np.isnan(y).all() and np.isnan(stats["mean"]).all()
    y, stats = run(jnp.ones((5, 4)), jnp.zeros(5))
    np.testing.assert_array_equal(stats["mean"], 0)
    np.testing.assert_array_equal(stats["var"], 1)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_inputs_have_statistics_in_float32(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4096, 2)) + 100, dtype)
    layer = BatchNorm(momentum=0, param_dtype=jnp.float32)
    y, stats = trained(layer, x)
    np.testing.assert_allclose(stats["mean"], np.asarray(x, float).mean(0), rtol=1e-6)
    assert trained(BatchNorm(param_dtype=jnp.dtype(dtype)), x)[0].dtype == dtype
    assert y.dtype == np.float32


def test_weights_of_other_axes_are_refused():
    message = r"weight must have the leading axes of x, \(4, 3\), got shape \(3,\)"
    with pytest.raises(ValueError, match=message):
        trained(BatchNorm(), jnp.ones((4, 3)), weight=jnp.ones(3))
