"""Every optimizer over 8 devices and without retracing.

Scans, `jit` and `vmap` are with the formulas, jit, pmap and no jit in `test_optimizer_variants.py`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from closeness import assert_leaves_close
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from optimizer_table import EVERY_ROW, STATES


def first(grads):
    return jax.tree.map(lambda g: jnp.asarray(g[0]), grads)


def test_params_over_8_devices_equal_one_device():
    """All optimizers in one program: compiling is what takes time here."""
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    rng = np.random.default_rng(5)
    draw = lambda: {  # noqa: E731
        "bias": rng.normal(size=8).astype(np.float32),
        "kernel": rng.normal(size=(16, 3)).astype(np.float32),
    }
    start, grads = draw(), [draw() for _ in range(3)]
    transformations = {row.name: row.make() for row in STATES}

    @jax.jit
    def step(params, states, g):
        for row in STATES:
            tx, p = transformations[row.name], params[row.name]
            updates, state = row.update(tx, g, states[row.name], p)
            params = params | {row.name: optax.apply_updates(p, updates)}
            states = states | {row.name: state}
        return params, states

    results = []
    for place in (lambda tree: jax.device_put(tree, split), partial(jax.tree.map, jnp.asarray)):
        params = {name: place(start) for name in transformations}
        states = {name: tx.init(params[name]) for name, tx in transformations.items()}
        for g in grads:
            params, states = step(params, states, place(g))
        results.append(params)
    spread, alone = results
    assert_leaves_close(spread, alone, 1e-6)
    for path, leaf in jax.tree_util.tree_leaves_with_path(spread):
        assert leaf.sharding.is_equivalent_to(split, leaf.ndim), f"{path} was gathered"


def kinds(tree):
    """What a compiled function is found again by: structure, shapes, dtypes, weak or not."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: tree))
    return structure, [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves]


@EVERY_ROW
def test_other_values_and_later_states_do_not_retrace(row, params, grads):
    def step(knobs, params, state, g):
        updates, state = row.update(row.factory(**knobs), g, state, params)
        return optax.apply_updates(params, updates), state

    params, g = params["dense"], first(grads(1))["dense"]
    state = row.make().init(params)
    settings = [{n: knob.sweep[i] for n, knob in row.knobs.items()} for i in range(3)]
    assert kinds(settings[0]) == kinds(settings[1]) == kinds(settings[2])
    for knobs in (settings[0], jax.tree.map(jnp.float32, settings[1])):
        after = jax.eval_shape(step, knobs, params, state, g)
        leaves, structure = jax.tree.flatten(after)
        found = structure, [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves]
        assert found == kinds((params, state))
