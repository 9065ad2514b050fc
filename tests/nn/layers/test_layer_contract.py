"""Every layer and model: its formula, leading axes, devices, padding, keys, dtypes, refusals."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close
from flax.errors import InvalidRngError
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from layer_row import KEY, evaluated, inputs, plain, trained, training, variables
from layer_table import EVERY_ROW, EVERY_ROW_THAT_DRAWS, TABLE

from jaxnn.tree import path_name


@EVERY_ROW
def test_evaluation_is_its_formula(row, x64):
    x = inputs(row)
    v = variables(row, x)
    outputs = jax.jit(functools.partial(evaluated, row))(v, x)
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs, row.numpy(v, np.asarray(x)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("row", [row for row in TABLE if row.leading], ids=lambda row: row.name)
def test_any_leading_axes(row):
    x = inputs(row, 12)
    run = functools.partial(evaluated, row, variables(row, x))
    forms = jax.jit(lambda x: (run(x), run(x.reshape(3, 4, *row.shape)), run(x[0])))
    flat, stacked, alone = forms(x)
    assert_leaves_close(stacked, flat.reshape(stacked.shape), 1e-6)
    assert stacked.shape[:2] == (3, 4)
    assert_leaves_close(alone, flat[0], 1e-6)


def assert_same_training(row, actual):
    assert_leaves_close(actual, plain(row), 1e-6)
    zeros = [np.asarray(y) == 0 for y in (actual[0], plain(row)[0])]
    np.testing.assert_array_equal(*zeros)


@pytest.mark.slow
@EVERY_ROW
def test_a_batch_over_8_devices_is_trained_as_on_one(row):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (("data",), ()))
    x = inputs(row)
    spread = training(row)(*jax.device_put((variables(row, x), x, KEY), (whole, split, whole)))
    assert len(spread[0].sharding.device_set) == 8
    assert_same_training(row, spread)


@EVERY_ROW
def test_padding_changes_no_other_row_no_mask_and_no_state(row):
    x = inputs(row)
    padded = jnp.concatenate([x, jnp.full((2, *row.shape), jnp.nan)])
    run = jax.jit(functools.partial(trained, row, padding=2))
    outputs, state = run(variables(row, x), padded)
    assert_same_training(row, (outputs[:16], state))


@EVERY_ROW_THAT_DRAWS
def test_training_draws_from_its_key(row):
    x = inputs(row)
    v = variables(row, x)
    other, _ = training(row)(v, x, jax.random.key(8))
    assert not np.array_equal(other, plain(row)[0])
    with pytest.raises(InvalidRngError, match="dropout"):
        jax.eval_shape(lambda x: row.make().apply(v, x, train=True, mutable=["batch_stats"]), x)


@EVERY_ROW
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtype_is_kept(row, dtype):
    x = inputs(row, dtype=dtype)
    changes = {"param_dtype": jnp.dtype(dtype)} if hasattr(row.make(), "param_dtype") else {}
    v = jax.eval_shape(row.make(**changes).init, jax.random.key(1), x)
    for run in (evaluated, trained):
        shapes = jax.eval_shape(functools.partial(run, row, **changes), v, x)
        assert {leaf.dtype.name for leaf in jax.tree.leaves((v, shapes))} == {dtype}


@EVERY_ROW
def test_parameters_are_float64_where_x64_is_on(row, x64):
    x = inputs(row)
    v = jax.eval_shape(row.make().init, jax.random.key(1), x)
    shapes = jax.eval_shape(functools.partial(trained, row), v, x)
    for path, leaf in jax.tree_util.tree_leaves_with_path((v, shapes)):
        assert leaf.dtype == np.float64, path_name(path)


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        pytest.param(row, refusal, id=f"{row.name}-{refusal.message[:40]}")
        for row in TABLE
        for refusal in row.refuses
    ],
)
def test_refusals(row, refusal):
    x = jnp.ones(refusal.shape or (16, *row.shape), refusal.dtype)
    for mode in ({"train": False}, {"train": True}) if row.takes("train") else ({},):
        with pytest.raises(refusal.error, match=refusal.message):
            layer = row.make(**refusal.changes)
            jax.eval_shape(
                lambda x, layer=layer, mode=mode: layer.init_with_output(KEY, x, **mode), x
            )
