"""Permutations in NumPy are those of JAX, bit for bit."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxnn.data.host_permutation import random_order
from jaxnn.keys import stream


@pytest.mark.slow
# One, two and three rounds of sorting: up to 1,625 rows, up to 2.6 million, and none at 1.
@pytest.mark.parametrize("n", [1, 2, 7, 1625, 1626, 5000, 60_000])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, -5])
def test_it_is_that_of_jax(n, seed):
    root = jax.random.key(seed)
    expected = jax.random.permutation(stream(root, "split"), n)
    order = random_order(root, "split", n)
    np.testing.assert_array_equal(order, expected)
    assert order.dtype == expected.dtype == np.int32


@pytest.mark.slow
def test_three_rounds():
    n, root = 2_700_000, jax.random.key(3)
    expected = jax.random.permutation(stream(root, "k_fold"), n)
    np.testing.assert_array_equal(random_order(root, "k_fold", n), expected)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_other_generators_are_left_to_jax(impl):
    root = jax.random.key(4, impl=impl)
    expected = jax.random.permutation(stream(root, "split"), 100)
    np.testing.assert_array_equal(random_order(root, "split", 100), expected)


def test_the_older_numbering_is_left_to_jax():
    with jax.threefry_partitionable(False):
        root = jax.random.key(4)
        expected = jax.random.permutation(stream(root, "split"), 100)
        np.testing.assert_array_equal(random_order(root, "split", 100), expected)


def test_nothing_is_compiled(caplog):
    root = jax.random.key(0)
    with jax.log_compiles():
        random_order(root, "split", 1234)
        assert not caplog.records
        jax.random.permutation(stream(root, "split"), 1234)  # so that the log can be believed
        assert any("ompil" in record.getMessage() for record in caplog.records)
