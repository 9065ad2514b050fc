"""Every layer: its formula, dtypes, jit, vmap over its knobs, devices, padding, refusals."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close, assert_same_bits
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from layer_table import EVERY_KNOB, EVERY_ROW, RATES, TABLE

KEY = jax.random.key(7)


def inputs(row, rows=16, dtype=float):
    x = np.random.default_rng(rows).normal(size=(rows, row.features))
    return jnp.asarray(np.where(np.abs(x) < 0.01, 0.01, x), dtype)  # a 0 would hide a mask


@functools.cache
def _variables(row_name, dtype):
    (row,) = (row for row in TABLE if row.name == row_name)
    start = jax.jit(row.make().init)(jax.random.key(1), jnp.ones((1, row.features), dtype))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda p: p + jnp.asarray(0.1 * rng.normal(size=p.shape), p.dtype), start)


def variables(row, x):
    """Initial parameters, moved off 0 where they start there, so that biases count."""
    return _variables(row.name, x.dtype)


def trained(row, variables, x, key=KEY, **changes):
    return row.make(**changes).apply(variables, x, train=True, rngs={"dropout": key})


@EVERY_ROW
def test_evaluation_is_its_formula(row, x64):
    x = inputs(row)
    v = variables(row, x)
    outputs = jax.jit(row.make().apply)(v, x)
    expected = row.numpy(v.get("params", {}), np.asarray(x))
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-13)


@EVERY_ROW
def test_any_leading_axes(row):
    x = inputs(row, 12)
    v = variables(row, x)
    flat = row.make().apply(v, x)
    stacked = row.make().apply(v, x.reshape(3, 4, -1))
    assert_leaves_close(stacked, flat.reshape(3, 4, -1), 1e-6)
    assert_leaves_close(row.make().apply(v, x[0]), flat[0], 1e-6)


@EVERY_ROW
def test_jit_equals_no_jit_draws_included(row):
    x = inputs(row)
    v = variables(row, x)
    run = lambda v, x, key: trained(row, v, x, key)  # noqa: E731
    assert_leaves_close(jax.jit(run)(v, x, KEY), run(v, x, KEY), 1e-6)


@EVERY_KNOB
def test_vmap_over_a_rate_equals_a_loop_over_it(row, knob):
    x, rates = inputs(row), jnp.asarray(RATES, jnp.float32)
    v = variables(row, x)
    run = lambda rate: trained(row, v, x, **{knob: rate})  # noqa: E731
    together, alone = jax.jit(jax.vmap(run))(rates), jax.jit(run)
    for i, rate in enumerate(rates):
        assert_leaves_close(together[i], alone(rate), 1e-6)
    assert not np.array_equal(together[1], together[2])


@EVERY_KNOB
def test_under_vmap_over_rates_the_bits_are_drawn_once(row, knob):
    x = inputs(row)
    v = variables(row, x)
    run = lambda rate: trained(row, v, x, **{knob: rate})  # noqa: E731
    drawn = [
        equation.outvars[0].aval.shape
        for equation in _equations(jax.make_jaxpr(jax.vmap(run))(jnp.zeros(3)).jaxpr)
        if equation.params.get("name") == "uniform_bits"
    ]
    assert drawn == list(row.draws)


def _equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
        ):
            if hasattr(inner, "jaxpr"):
                yield from _equations(inner.jaxpr)


@EVERY_ROW
def test_a_batch_over_8_devices_draws_the_masks_of_one(row):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    x = inputs(row, 64)
    v = variables(row, x)
    run = jax.jit(lambda v, x: trained(row, v, x))
    spread = run(jax.device_put(v, NamedSharding(mesh, PartitionSpec())), jax.device_put(x, split))
    assert len(spread.sharding.device_set) == 8
    assert_leaves_close(spread, run(v, x), 1e-6)
    np.testing.assert_array_equal(np.asarray(spread) == 0, np.asarray(run(v, x)) == 0)


@EVERY_ROW
def test_padding_rows_change_no_mask(row):
    x = inputs(row, 70)
    v = variables(row, x)
    padded = jnp.concatenate([x, jnp.zeros((2, row.features))])
    run = jax.jit(lambda v, x: trained(row, v, x))
    whole, alone = np.asarray(run(v, padded)), np.asarray(run(v, x))
    assert_leaves_close(whole[:70], alone, 1e-6)
    np.testing.assert_array_equal(whole[:70] == 0, alone == 0)


@EVERY_KNOB
def test_rate_0_is_the_identity_to_the_last_bit(row, knob):
    x = inputs(row)
    v = variables(row, x)
    for rate in (0.0, jnp.float32(0.0)):
        assert_same_bits(trained(row, v, x, **{knob: rate}), row.make(**{knob: rate}).apply(v, x))


@EVERY_ROW
def test_evaluation_needs_no_key_and_training_does(row):
    x = inputs(row)
    v = variables(row, x)
    row.make().apply(v, x)
    with pytest.raises(Exception, match="dropout"):
        row.make().apply(v, x, train=True)


@EVERY_ROW
def test_another_key_draws_another_mask(row):
    x = inputs(row)
    v = variables(row, x)
    assert not np.array_equal(trained(row, v, x), trained(row, v, x, jax.random.key(8)))


@pytest.mark.parametrize("row", [row for row in TABLE if row.param_dtypes], ids=lambda r: r.name)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_param_dtype(row, dtype):
    x = inputs(row, dtype=dtype)
    v = jax.jit(row.make(param_dtype=jnp.dtype(dtype)).init)(jax.random.key(1), x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(v)} == {dtype}
    run = lambda v, x: trained(row, v, x, param_dtype=jnp.dtype(dtype))  # noqa: E731
    assert jax.eval_shape(run, v, x).dtype == dtype


@pytest.mark.parametrize("row", [row for row in TABLE if row.param_dtypes], ids=lambda r: r.name)
def test_params_are_float64_where_x64_is_on(row, x64):
    x = inputs(row)
    v = jax.jit(row.make().init)(jax.random.key(1), x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(v)} == {"float64"}
    assert jax.eval_shape(lambda v, x: trained(row, v, x), v, x).dtype == np.float64


@EVERY_KNOB
@pytest.mark.parametrize("bad", [-0.1, 1.0, 1.5, np.nan, np.float32(1), jnp.float32(2)])
def test_a_concrete_rate_outside_its_range_is_refused_by_name(row, knob, bad):
    with pytest.raises(ValueError, match=rf"^{knob} must be in \[0, 1\), got {bad}"):
        row.make(**{knob: bad})


@EVERY_KNOB
def test_a_traced_rate_is_not_looked_at(row, knob):
    x = inputs(row)
    v = variables(row, x)
    shape = jax.eval_shape(lambda rate: trained(row, v, x, **{knob: rate}), jnp.float32(2.0))
    assert shape.shape[0] == 16
