"""Every optimizer over 8 devices and without retracing.

Scans, `jit` and `vmap` are with the formulas, jit, pmap and no jit in `test_optimizer_variants.py`.
"""

from __future__ import annotations

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from closeness import assert_leaves_close
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from optimizer_table import EVERY_ROW, EVERY_STATE


def first(grads):
    return jax.tree.map(lambda g: jnp.asarray(g[0]), grads)


@EVERY_STATE
def test_params_over_8_devices_equal_one_device(row):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    rng = np.random.default_rng(5)
    draw = lambda: {  # noqa: E731
        "bias": rng.normal(size=8).astype(np.float32),
        "kernel": rng.normal(size=(16, 3)).astype(np.float32),
    }
    params, grads = draw(), [draw() for _ in range(3)]
    tx = row.make()

    @jax.jit
    def step(params, state, g):
        updates, state = row.update(tx, g, state, params)
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
        updates, state = row.update(row.factory(**knobs), g, state, params)
        return optax.apply_updates(params, updates), state

    params, g = params["dense"], first(grads(1))["dense"]
    state = row.make().init(params)
    for i in range(3):
        knobs = {name: knob.sweep[i] for name, knob in row.knobs.items()}
        params, state = step(knobs, params, state, g)
