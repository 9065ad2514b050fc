"""Small data for populations, and how their bits are compared."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import jaxnn


@pytest.fixture(scope="session")
def tiny():
    """70 examples of 5 features in 3 classes, 30 to validate on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5)).astype(np.float32)
    y = (x @ rng.normal(size=(5, 3))).argmax(-1).astype(np.int32)
    part = lambda rows: {"x": x[rows], "y": y[rows]}  # noqa: E731
    return jaxnn.data.Data(train=part(slice(0, 70)), val=part(slice(70, 100)))


@pytest.fixture(scope="session")
def same_run():
    """Asserts that two runs have the same state and history, to the last bit."""

    def check(a, b):
        assert jax.tree.structure(a.state) == jax.tree.structure(b.state)
        for left, right in zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True):
            if jax.dtypes.issubdtype(left.dtype, jax.dtypes.prng_key):
                left, right = jax.random.key_data(left), jax.random.key_data(right)
            assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
        assert len(a.history.epochs) == len(b.history.epochs)
        for name in set(a.history.names) - {"seconds", "examples_per_second"}:
            np.testing.assert_array_equal(a.history.series(name), b.history.series(name))
        np.testing.assert_array_equal(a.history.step_series("loss"), b.history.step_series("loss"))

    return check
