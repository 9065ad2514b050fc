"""Lecture M's worked example (PRACTICES X1): forward, nine gradients, one step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.train import init_state, train_step
from jaxnn.train.step.step import traced_step

BATCH = {"x": jnp.array([[-5.0, 2.0]]), "y": jnp.array([[8.0]])}
PARAMS = {
    "Dense_0": {"kernel": jnp.array([[1.0, 2.0], [4.0, 1.0]]), "bias": jnp.array([3.0, -2.0])},
    "Dense_1": {"kernel": jnp.array([[2.0], [3.0]]), "bias": jnp.array([-2.0])},
}


@pytest.fixture
def start():
    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((2, 1)),
        loss=jaxnn.losses.squared_error,
        optimizer=jaxnn.optim.sgd(0.002),
    )
    return recipe, init_state(recipe, 0, BATCH).replace(params=PARAMS)


def in_the_lectures_order(tree):
    """Unit by unit: incoming weights, then bias."""
    first, second = tree["Dense_0"], tree["Dense_1"]
    units = [
        jnp.append(layer["kernel"][:, unit], layer["bias"][unit])
        for layer in (first, second)
        for unit in range(layer["bias"].size)
    ]
    return np.concatenate(units)


def test_forward(start):
    recipe, state = start
    outputs = recipe.model.apply({"params": state.params}, BATCH["x"])
    np.testing.assert_array_equal(outputs, [[10.0]])


def test_gradients(start):
    _, _, (trace,) = traced_step(*start, BATCH, probes=[jaxnn.inspect.GradientNorm()])
    np.testing.assert_array_equal(
        in_the_lectures_order(trace.grads), [-40, 16, 8, 0, 0, 0, 24, 0, 4]
    )


def test_one_step(start):
    state, metrics = jax.jit(train_step, static_argnums=0)(*start, BATCH)
    np.testing.assert_allclose(
        in_the_lectures_order(state.params),
        [1.08, 3.968, 2.984, 2, 1, -2, 1.952, 3, -2.008],
        rtol=1e-7,
    )
    assert (float(metrics["loss"][0]), float(metrics["loss"][1])) == (4.0, 1.0)
