"""Every layer and model in each way that JAX runs a function: with and without jit, pmap."""

from __future__ import annotations

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized
from closeness import assert_leaves_close
from layer_row import KEY, evaluated, inputs, plain, trained, variables
from layer_table import ONE_EACH


@pytest.mark.slow
class TestVariants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    @parameterized.named_parameters((row.name.replace("-", "_"), row) for row in ONE_EACH)
    def test_a_layer(self, row):
        def both(v, x, key_data):  # NumPy, which one variant has to do with, knows no typed keys
            key = jax.random.wrap_key_data(key_data)
            return evaluated(row, v, x), trained(row, v, x, key)

        x = inputs(row)
        v = variables(row, x)
        evaluation, training = self.variant(both)(v, x, jax.random.key_data(KEY))
        formula = row.numpy(jax.device_get(v), np.asarray(x, float))
        assert_leaves_close(evaluation, formula, 2e-6)
        assert_leaves_close(training, plain(row), 2e-6)
