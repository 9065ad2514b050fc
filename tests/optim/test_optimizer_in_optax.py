"""Every optimizer is an ordinary Optax transformation, wherever Optax takes one."""

from __future__ import annotations

import re
from functools import partial

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint
import pytest
from closeness import assert_leaves_close, assert_same_bits
from optimizer_table import EVERY_ROW, EVERY_STATE, STATES, TABLE

from jaxnn import optim


@pytest.fixture
def grad(grads):
    return jax.tree.map(lambda g: jnp.asarray(g[0]), grads(1))


def warm(row, tx, params, grad, steps=2):
    """A state that is not the initial one."""
    state = tx.init(params)
    for _ in range(steps):
        _, state = row.update(tx, grad, state, params)
    return state


@pytest.mark.slow
@EVERY_ROW
def test_an_unknown_extra_argument_is_ignored(row, params, grad):
    tx = row.make()
    state = warm(row, tx, params, grad)
    expected = row.update(tx, grad, state, params)
    actual = tx.update(grad, state, params, value=1.0, nobody_knows=object())
    assert_same_bits(actual, expected)


@EVERY_ROW
def test_in_a_chain(row, params, grad):
    alone, chained = row.make(), optax.chain(optax.scale(2.0), row.make(), optax.scale(0.5))
    double = jax.tree.map(lambda g: 2 * g, grad)
    expected, _ = row.update(alone, double, alone.init(params), params, rate_scale=0.25)
    expected = jax.tree.map(lambda u: 0.5 * u, expected)
    actual, _ = chained.update(grad, chained.init(params), params, rate_scale=0.25, value=1.0)
    assert_same_bits(actual, expected)


@EVERY_ROW
def test_masked_leaves_pass_unchanged(row, params, grad):
    mask = {"dense": {"bias": True, "kernel": True}, "rest": [True, False]}
    tx = optax.masked(row.make(), mask)
    actual, _ = tx.update(grad, tx.init(params), params, value=1.0)
    # Alone it is given what the mask lets it see: a norm over all leaves is over those.
    alone = row.make()
    seen = jax.tree.map(lambda m, g: g if m else jnp.zeros_like(g), mask, grad)
    expected, _ = row.update(alone, seen, alone.init(params), params)
    expected = jax.tree.map(lambda m, e, g: e if m else g, mask, expected, grad)
    assert_leaves_close(actual, expected, 1e-6)


@EVERY_ROW
def test_in_multi_transform(row, params, grad):
    labels = {"dense": {"bias": "move", "kernel": "move"}, "rest": ["stay", "move"]}
    tx = optax.multi_transform({"move": row.make(), "stay": optax.set_to_zero()}, labels)
    actual, _ = tx.update(grad, tx.init(params), params, rate_scale=0.25, value=1.0)
    alone = row.make()
    seen = jax.tree.map(lambda name, g: g * (name == "move"), labels, grad)
    expected, _ = row.update(alone, seen, alone.init(params), params, rate_scale=0.25)
    expected = jax.tree.map(lambda name, e: e * (name == "move"), labels, expected)
    assert_leaves_close(actual, expected, 1e-6)


@pytest.mark.parametrize(
    ("factory", "knob"),
    [
        (optim.adamw, "learning_rate"),
        (optim.add_decayed_weights, "weight_decay"),
        (optim.multiply_weights, "factor"),
        (optim.max_norm, "c"),
    ],
)
def test_inject_hyperparams_takes_no_mask_for_a_schedule(factory, knob, params, grad):
    """It calls every callable argument with the count, defaults included."""
    tx = optax.inject_hyperparams(factory)(**{knob: 0.1})
    actual, _ = tx.update(grad, tx.init(params), params)
    alone = factory(0.1)
    expected, _ = alone.update(grad, alone.init(params), params)
    assert_leaves_close(actual, expected, 1e-6)


@EVERY_ROW
def test_inject_hyperparams_holds_every_knob(row, params, grad):
    tx = optax.inject_hyperparams(row.factory)(**row.values)
    state = tx.init(params)
    assert set(state.hyperparams) == set(row.knobs)
    changed = {name: knob.sweep[1] for name, knob in row.knobs.items()}
    state.hyperparams.update({name: jnp.float32(value) for name, value in changed.items()})
    actual, _ = jax.jit(partial(row.update, tx))(grad, state, params, rate_scale=0.25)
    alone = row.make(**{name: jnp.float32(value) for name, value in changed.items()})
    # What a state starts from (G of AdaGrad) was injected at its start, not now.
    begun = row.make().init(params)
    expected, _ = row.update(alone, grad, begun, params, rate_scale=0.25)
    assert_leaves_close(actual, expected, 1e-6)


NEED_PARAMS = {row.name for row in TABLE if "weight_decay" in row.knobs} | {
    "multiply_weights",
    "max_norm",
    "soft_threshold",
}


@EVERY_ROW
def test_params_are_not_asked_for_unless_used(row, params, grad):
    """Optax's own loops call `update(grads, state)` where an optimizer is no user of params."""
    tx = row.make()
    with_params, _ = row.update(tx, grad, tx.init(params), params)
    try:
        without, _ = row.update(tx, grad, tx.init(params), None)
    except ValueError as error:  # decay and max-norm need params, and then say so
        assert re.fullmatch(r"\w+ needs the parameters: update\(.*params\)", str(error))
        assert row.name in NEED_PARAMS
    else:
        assert_same_bits(without, with_params)
        assert row.name not in NEED_PARAMS


# By leaf: so each dtype meets a weight, and a leaf of another dtype beside it.
KINDS = {
    "kernel in float32": ["bfloat16", "float32", "float16", "bfloat16"],
    "kernel in bfloat16": ["float32", "bfloat16", "float32", "float16"],
}


@EVERY_ROW
@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_updates_and_state_have_the_dtypes_of_the_params(row, kinds, params, grad, x64):
    """Also if the knobs are arrays, which x64 makes wider than the leaves that they meet."""
    tree = jax.tree.structure(params)
    params, grad = (
        jax.tree.map(lambda x, kind: x.astype(kind), t, tree.unflatten(kinds))
        for t in (params, grad)
    )

    # Only shapes and dtypes: nothing is computed, so this costs a trace.
    def one(knobs):
        tx = row.factory(**knobs)
        return row.update(tx, grad, tx.init(params), params)

    arrays = {name: jnp.asarray(value, float) for name, value in row.values.items()}
    for updates, state in (
        jax.eval_shape(lambda: one(row.in_half)),
        jax.eval_shape(one, arrays),
    ):
        # What of the state is like the params: moments, velocities. Rates and counts are not.
        is_like = lambda node: jax.tree.structure(node) == tree  # noqa: E731
        moments = [node for node in jax.tree.leaves(state, is_leaf=is_like) if is_like(node)]
        for like in (updates, *moments):
            assert [leaf.dtype.name for leaf in jax.tree.leaves(like)] == kinds


@EVERY_ROW
def test_the_state_is_made_of_named_tuples_of_arrays(row, params):
    def check(node):
        if isinstance(node, tuple):
            assert hasattr(node, "_fields") or all(isinstance(part, (tuple, dict)) for part in node)
            for part in node:
                check(part)

    state = row.make().init(params)
    check(state)
    assert jax.tree.leaves(state)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@pytest.mark.slow
@EVERY_STATE
def test_the_state_goes_through_bytes(row, params, grad):
    tx = row.make()
    state = warm(row, tx, params, grad)
    data = flax.serialization.to_bytes(state)
    restored = flax.serialization.from_bytes(tx.init(params), data)
    assert_same_bits(restored, state)
    assert_same_bits(row.update(tx, grad, restored, params), row.update(tx, grad, state, params))


def test_every_state_goes_through_orbax(params, grad, tmp_path):
    transformations = {row.name: row.make() for row in STATES}
    states = {row.name: warm(row, transformations[row.name], params, grad) for row in STATES}
    with orbax.checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "states", states)
        checkpointer.wait_until_finished()
        fresh = {name: tx.init(params) for name, tx in transformations.items()}
        restored = checkpointer.restore(tmp_path / "states", fresh)
    for name, state in states.items():
        assert_same_bits(restored[name], state)
        assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(state)), name
