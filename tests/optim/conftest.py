"""Parameters, gradients and compiled loops that every optimizer is tried on."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optimizer_chains import PLATEAU_VALUES

from jaxnn import optim

SHAPES = {
    "dense": {"bias": (8,), "kernel": (16, 8)},
    "rest": [(2, 3, 4), ()],  # a convolution's axes, and a lone scalar
}


def _draw(rng, leading=(), dtype=np.float32):
    return jax.tree.map(
        lambda shape: np.asarray(rng.normal(size=(*leading, *shape))).astype(dtype),
        SHAPES,
        is_leaf=lambda node: isinstance(node, tuple),
    )


@pytest.fixture
def params():
    return jax.tree.map(jax.numpy.asarray, _draw(np.random.default_rng(0)))


@pytest.fixture
def grads():
    """`grads(steps)`: random gradients like `params`, with a leading axis of steps."""

    def draw(steps, dtype=np.float32):
        return _draw(np.random.default_rng(1), (steps,), dtype)

    return draw


def _values(steps):
    # Some optimizers watch a value; all others ignore it.
    return jnp.asarray(PLATEAU_VALUES[:steps], jnp.float32)


@pytest.fixture
def train():
    """`train(tx, params, grads)`: params after all steps of `grads`, in one scan."""

    def run(tx, params, grads):
        tx = optax.with_extra_args_support(tx)

        def step(carry, g_and_value):
            params, state = carry
            g, value = g_and_value
            updates, state = tx.update(g, state, params, value=value)
            return (optax.apply_updates(params, updates), state), None

        steps = len(jax.tree.leaves(grads)[0])
        (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), (grads, _values(steps)))
        return params

    return run


@pytest.fixture
def descend():
    """`descend(tx, params, gradient, noise)`: the path down a hill of one's own, in one scan.

    `gradient(leaf name, point, noise)` is taken where the optimizer looks ahead, if it does.
    """

    def run(tx, params, gradient, noise):
        tx = optax.with_extra_args_support(tx)

        def step(carry, noise_and_value):
            params, state = carry
            xi, value = noise_and_value
            point = optim.lookahead_params(params, state)
            g = {name: gradient(name, point[name], xi[name]) for name in params}
            updates, state = tx.update(g, state, params, value=value)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        steps = len(jax.tree.leaves(noise)[0])
        values = jnp.asarray(np.resize(PLATEAU_VALUES, steps))
        carry, inputs = (params, tx.init(params)), (noise, values)
        return jax.lax.scan(step, carry, inputs)[1]

    return run
