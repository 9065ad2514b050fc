"""Small recipes and data that the tests of training share."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn


@pytest.fixture(scope="session")
def digits():
    return jaxnn.data.digits(key=0)


@pytest.fixture
def tiny():
    """70 examples of 5 features in 3 classes, 30 to validate on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5)).astype(np.float32)
    y = (x @ rng.normal(size=(5, 3))).argmax(-1).astype(np.int32)
    part = lambda rows: {"x": x[rows], "y": y[rows]}  # noqa: E731
    return jaxnn.data.Data(train=part(slice(0, 70)), val=part(slice(70, 100)))


@pytest.fixture(scope="session")
def recipe():
    """One object for all tests, so that what is compiled for it is found again."""
    return make_recipe({"lr": 0.01, "dropout": 0.5, "l2": 1e-3})


@pytest.fixture(scope="session")
def maker():
    """A make_recipe that is not a module's function."""
    return lambda knobs: make_recipe(knobs)


@pytest.fixture
def knobs():
    return {"lr": 0.01, "dropout": 0.5, "l2": 1e-3}


@pytest.fixture
def same_bits():
    """Asserts that two trees are equal to the last bit."""

    def check(a, b):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            if jax.dtypes.issubdtype(left.dtype, jax.dtypes.prng_key):
                left, right = jax.random.key_data(left), jax.random.key_data(right)
            left, right = np.asarray(left), np.asarray(right)
            assert (left.shape, left.dtype) == (right.shape, right.dtype)
            assert left.tobytes() == right.tobytes()

    return check
