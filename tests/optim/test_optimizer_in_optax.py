"""Every optimizer is an ordinary Optax transformation, wherever Optax takes one."""

from __future__ import annotations

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
import pytest
from closeness import assert_leaves_close, assert_same_bits
from optimizer_table import EVERY_ROW


@pytest.fixture
def grad(grads):
    return jax.tree.map(lambda g: jnp.asarray(g[0]), grads(1))


def warm(tx, params, grad, steps=2):
    """A state that is not the initial one."""
    state = tx.init(params)
    for _ in range(steps):
        _, state = tx.update(grad, state, params)
    return state


@EVERY_ROW
def test_an_unknown_extra_argument_is_ignored(row, params, grad):
    tx = row.make()
    state = warm(tx, params, grad)
    expected = tx.update(grad, state, params)
    assert_same_bits(tx.update(grad, state, params, value=1.0, nobody_knows=object()), expected)


@EVERY_ROW
def test_in_a_chain(row, params, grad):
    alone, chained = row.make(), optax.chain(optax.scale(2.0), row.make(), optax.scale(0.5))
    expected, _ = alone.update(
        jax.tree.map(lambda g: 2 * g, grad), alone.init(params), params, rate_scale=0.25
    )
    expected = jax.tree.map(lambda u: 0.5 * u, expected)
    actual, _ = chained.update(grad, chained.init(params), params, rate_scale=0.25, value=1.0)
    assert_same_bits(actual, expected)


@EVERY_ROW
def test_masked_leaves_pass_unchanged(row, params, grad):
    mask = {"dense": {"bias": False, "kernel": True}, "rest": [True, False]}
    tx = optax.masked(row.make(), mask)
    actual, _ = tx.update(grad, tx.init(params), params, value=1.0)
    alone = row.make()
    expected, _ = alone.update(grad, alone.init(params), params)
    expected = jax.tree.map(lambda m, e, g: e if m else g, mask, expected, grad)
    assert_leaves_close(actual, expected, 1e-6)


@EVERY_ROW
def test_in_multi_transform(row, params, grad):
    labels = {"dense": {"bias": "stay", "kernel": "move"}, "rest": ["stay", "move"]}
    tx = optax.multi_transform({"move": row.make(), "stay": optax.set_to_zero()}, labels)
    actual, _ = tx.update(grad, tx.init(params), params, rate_scale=0.25, value=1.0)
    alone = row.make()
    expected, _ = alone.update(grad, alone.init(params), params, rate_scale=0.25)
    expected = jax.tree.map(lambda name, e: e * (name == "move"), labels, expected)
    assert_leaves_close(actual, expected, 1e-6)


@EVERY_ROW
def test_inject_hyperparams_holds_every_knob(row, params, grad):
    tx = optax.inject_hyperparams(row.factory)(**row.values)
    state = tx.init(params)
    assert set(state.hyperparams) == set(row.knobs)
    changed = {name: knob.sweep[1] for name, knob in row.knobs.items()}
    state.hyperparams.update({name: jnp.float32(value) for name, value in changed.items()})
    actual, _ = jax.jit(tx.update)(grad, state, params, rate_scale=0.25)
    alone = row.make(**{name: jnp.float32(value) for name, value in changed.items()})
    expected, _ = alone.update(grad, alone.init(params), params, rate_scale=0.25)
    assert_leaves_close(actual, expected, 1e-6)


@EVERY_ROW
def test_params_are_not_asked_for_unless_used(row, params, grad):
    """Optax's own loops call `update(grads, state)` where an optimizer is no user of params."""
    tx = row.make()
    with_params, _ = tx.update(grad, tx.init(params), params)
    try:
        without, _ = tx.update(grad, tx.init(params))
    except ValueError as error:  # decay needs params, and then says so as Optax does
        assert str(error) == optax.NO_PARAMS_MSG
    else:
        assert_same_bits(without, with_params)


@EVERY_ROW
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("wide", [False, True], ids=["x32", "x64"])
def test_updates_and_state_have_the_dtype_of_the_params(row, dtype, wide, params, grad, request):
    """Also where the knobs are float32 arrays, or x64 makes wide ones of them."""
    params, grad = (jax.tree.map(lambda x: x.astype(dtype), tree) for tree in (params, grad))
    if wide:
        request.getfixturevalue("x64")
    for knobs in (row.values, {name: jnp.asarray(v, float) for name, v in row.values.items()}):
        tx = row.factory(**knobs)
        updates, state = tx.update(grad, tx.init(params), params)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(updates)} == {dtype}
        moments = {leaf.dtype.name for leaf in jax.tree.leaves(state)} - {"int32"}
        assert moments <= {dtype}


@EVERY_ROW
def test_the_state_is_made_of_named_tuples_of_arrays(row, params):
    def check(node):
        if isinstance(node, tuple):
            assert hasattr(node, "_fields") or all(isinstance(part, tuple) for part in node)
            for part in node:
                check(part)

    state = row.make().init(params)
    check(state)
    assert jax.tree.leaves(state)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@EVERY_ROW
def test_the_state_goes_through_bytes(row, params, grad):
    tx = row.make()
    state = warm(tx, params, grad)
    data = flax.serialization.to_bytes(state)
    restored = flax.serialization.from_bytes(tx.init(params), data)
    assert_same_bits(restored, state)
    assert_same_bits(tx.update(grad, restored, params), tx.update(grad, state, params))


@EVERY_ROW
def test_the_state_goes_through_orbax(row, params, grad, tmp_path):
    tx = row.make()
    state = warm(tx, params, grad)
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "state", tx.init(params))
    assert_same_bits(restored, state)
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(restored))
