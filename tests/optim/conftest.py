"""Parameters, gradients and a compiled loop that every optimizer is tried on."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

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


@pytest.fixture
def train():
    """`train(tx, params, grads)`: params after all steps of `grads`, in one scan."""

    def run(tx, params, grads):
        def step(carry, g):
            params, state = carry
            updates, state = tx.update(g, state, params)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), grads)
        return params

    return run
