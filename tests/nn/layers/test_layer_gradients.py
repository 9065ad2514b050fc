"""Every layer and model: gradients of parameters and inputs against central differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_row import inputs, trained, variables
from layer_table import ONE_EACH

SLOW = ("ConvNet", "ResNet")


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=pytest.mark.slow if row.name in SLOW else ())
        for row in ONE_EACH
    ],
)
def test_against_central_differences(row, x64):
    x, rng = inputs(row, 5), np.random.default_rng(0)
    rest = dict(variables(row, x))
    params = rest.pop("params", {})

    @jax.jit
    def loss(params, x):
        outputs, _ = trained(row, {"params": params, **rest}, x)
        return jnp.sum(jnp.sin(3 * outputs))

    way = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), (params, x))

    def moved(h):
        return loss(*jax.tree.map(lambda leaf, step: leaf + h * step, (params, x), way))

    gradients = jax.jit(jax.grad(loss, (0, 1)))(params, x)
    found = sum(map(jnp.vdot, jax.tree.leaves(gradients), jax.tree.leaves(way)))
    h = 1e-6
    np.testing.assert_allclose(found, (moved(h) - moved(-h)) / (2 * h), rtol=1e-6, atol=1e-7)
    assert abs(found) > 1e-3
