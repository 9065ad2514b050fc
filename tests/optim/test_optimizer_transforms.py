"""Every optimizer under jit, vmap over each knob, scan and a mesh of devices."""

from __future__ import annotations

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from closeness import assert_leaves_close
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from optimizer_table import EVERY_KNOB, EVERY_ROW


def first(grads):
    return jax.tree.map(lambda g: jnp.asarray(g[0]), grads)


@EVERY_ROW
def test_jit_and_scan_equal_a_loop_without_them(row, params, grads, train):
    tx, stack = row.make(), grads(20)
    expected, state = params, tx.init(params)
    for step in range(20):
        g = jax.tree.map(lambda g, step=step: jnp.asarray(g[step]), stack)
        updates, state = tx.update(g, state, expected)
        expected = optax.apply_updates(expected, updates)
    assert_leaves_close(jax.jit(partial(train, tx))(params, stack), expected, 1e-6)


@EVERY_KNOB
def test_vmap_over_a_knob_equals_a_loop_over_it(row, knob, params, grads, train):
    params, stack = params["dense"], grads(10)["dense"]
    sweep = jnp.asarray(row.knobs[knob].sweep, jnp.float32)

    def run(value):
        return train(row.make(**{knob: value}), params, stack)

    together = jax.jit(jax.vmap(run))(sweep)
    alone = jax.jit(run)
    for i, value in enumerate(sweep):
        assert_leaves_close(jax.tree.map(lambda x, i=i: x[i], together), alone(value), 1e-6)
    kernels = np.asarray(together["kernel"])
    for i in range(1, len(sweep)):
        assert not np.array_equal(kernels[0], kernels[i]), f"{knob} changes nothing"


@EVERY_ROW
def test_vmap_over_all_knobs_at_once_equals_a_loop(row, params, grads, train):
    params, stack = params["dense"], grads(10)["dense"]
    knobs = {name: jnp.asarray(k.sweep[:3], jnp.float32) for name, k in row.knobs.items()}

    def run(knobs):
        return train(row.factory(**knobs), params, stack)

    together = jax.jit(jax.vmap(run))(knobs)
    alone = jax.jit(run)
    for i in range(3):
        member, setting = (jax.tree.map(lambda x, i=i: x[i], t) for t in (together, knobs))
        assert_leaves_close(member, alone(setting), 1e-6)


@EVERY_ROW
def test_params_over_8_devices_equal_one_device(row):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    rng = np.random.default_rng(5)
    draw = lambda: {  # noqa: E731
        "bias": rng.normal(size=8).astype(np.float32),
        "kernel": rng.normal(size=(16, 3)).astype(np.float32),
    }
    params, grads = draw(), [draw() for _ in range(5)]
    tx = row.make()

    @jax.jit
    def step(params, state, g):
        updates, state = tx.update(g, state, params)
        return optax.apply_updates(params, updates), state

    results = []
    for place in (lambda tree: jax.device_put(tree, split), partial(jax.tree.map, jnp.asarray)):
        p = place(params)
        state = tx.init(p)
        for g in grads:
            p, state = step(p, state, place(g))
        results.append(p)
    spread, alone = results
    assert_leaves_close(spread, alone, 1e-6)
    for leaf in jax.tree.leaves(spread):
        assert leaf.sharding.is_equivalent_to(split, leaf.ndim), "the params were gathered"


@EVERY_ROW
def test_other_values_and_later_states_do_not_retrace(row, params, grads):
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(knobs, params, state, g):
        updates, state = row.factory(**knobs).update(g, state, params)
        return optax.apply_updates(params, updates), state

    g, state = first(grads(1)), row.make().init(params)
    for i in range(3):
        knobs = {name: knob.sweep[i] for name, knob in row.knobs.items()}
        params, state = step(knobs, params, state, g)
