"""The contract of optimizers under `chex.variants`: with jit, without, on a device, and pmap."""

from __future__ import annotations

import itertools

import chex
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from absl import flags
from absl.testing import parameterized
from closeness import assert_leaves_close
from optimizer_chains import PLATEAU_VALUES
from optimizer_table import STATES

if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()  # chex reads flags of absl, which no test runner but absl's parses

STEPS = 3
RNG = np.random.default_rng(7)
SHAPES = {"bias": (3,), "kernel": (4, 3)}
START = {name: RNG.normal(size=shape) for name, shape in SHAPES.items()}
GRADIENTS = {name: RNG.normal(size=(STEPS, *shape)) for name, shape in SHAPES.items()}


def expected(row):
    """The parameters after the last step, by the formula in NumPy."""
    end = {}
    for name, start in START.items():
        own = row.values | (row.bias if name == "bias" else {})
        path = row.numpy(start, lambda t, theta, g=GRADIENTS[name]: g[t], **own)
        end[name] = next(itertools.islice(path, STEPS - 1, None))
    return end


@pytest.mark.slow
class OptimizerVariants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_device=True, with_pmap=True)
    @parameterized.named_parameters((row.name, row) for row in STATES)
    def test_steps_are_those_of_the_formula(self, row):
        tx = optax.with_extra_args_support(row.make())

        @self.variant
        def step(params, state, g, value):
            updates, state = tx.update(g, state, params, value=value)
            return optax.apply_updates(params, updates), state

        params = {name: jnp.asarray(leaf, jnp.float32) for name, leaf in START.items()}
        state = tx.init(params)
        for t in range(STEPS):
            g = {name: jnp.asarray(leaf[t], jnp.float32) for name, leaf in GRADIENTS.items()}
            params, state = step(params, state, g, jnp.float32(PLATEAU_VALUES[t]))
        assert_leaves_close(params, expected(row), 1e-6)
