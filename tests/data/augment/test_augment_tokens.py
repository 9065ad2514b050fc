"""Substitution of tokens: the contract of the table in `test_augment`, for integers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnn.data import augment
from jaxnn.describe import describe

KEY = jax.random.key(3)
TABLE = {3: [7], 4: [8, 9, 3]}
TOKENS = np.random.default_rng(0).integers(0, 12, (400, 50)).astype(np.int32)


@jax.jit
def substituted(rate, key, tokens):
    return augment.substitute_tokens(TABLE, rate)(key, {"x": tokens, "y": tokens[:, 0]})


def test_replaced_at_the_rate_by_each_synonym_alike():
    batch = jax.device_get(substituted(0.4, KEY, TOKENS))
    np.testing.assert_array_equal(batch["y"], TOKENS[:, 0])
    for token in range(12):
        became = batch["x"][token == TOKENS]
        others = TABLE.get(token, [])
        assert set(np.unique(became)) == {token, *others}
        for other in others:  # 1,600 of each token: four deviations
            assert abs(np.mean(became == other) - 0.4 / len(others)) < 4 * (0.25 / 1600) ** 0.5


def test_knob_dtype_key_and_devices():
    rates = jnp.array([0.0, 0.5, 1.0])
    mapped = jax.vmap(substituted, (0, None, None))(rates, KEY, TOKENS)
    for i, rate in enumerate(rates):
        assert_same_bits(mapped["x"][i], substituted(rate, KEY, TOKENS)["x"])
    assert_same_bits(mapped["x"][0], TOKENS)
    assert (TOKENS == 4).any() and not (mapped["x"][2] == 4).any()
    assert substituted(0.5, KEY, TOKENS.astype(np.uint8))["x"].dtype == jnp.uint8
    assert not np.array_equal(substituted(0.5, jax.random.key(4), TOKENS)["x"], mapped["x"][1])
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    spread = jax.device_put(TOKENS, NamedSharding(mesh, PartitionSpec("data")))
    assert_same_bits(np.asarray(substituted(0.5, KEY, spread)["x"]), mapped["x"][1])
    small = augment.substitute_tokens(TABLE, 0.5)
    assert describe(small) != describe(augment.substitute_tokens({3: [8]}, 0.5))
    assert describe(small) != describe(augment.substitute_tokens(TABLE, 0.25))


def test_composed():
    twice = augment.compose(*[augment.substitute_tokens(TABLE, 1.0)] * 2)
    out = jax.jit(twice)(KEY, TOKENS)
    assert set(np.unique(out[TOKENS == 4])) == {7, 8, 9}  # 3, a synonym of 4, has one of its own


@pytest.mark.parametrize(
    ("table", "rate", "error", "message"),
    [
        (TABLE, 1.5, ValueError, r"rate must be in \[0, 1\], got 1.5"),
        ({}, 0.5, ValueError, "synonyms must map tokens"),
        ({3: []}, 0.5, ValueError, "synonyms must have one number"),
        ({3: [-1]}, 0.5, ValueError, "synonyms must have one number"),
        ({3: [1.5]}, 0.5, TypeError, "synonyms must hold lists of integers"),
    ],
)
def test_refusals(table, rate, error, message):
    with pytest.raises(error, match=message):
        augment.substitute_tokens(table, rate)
    with pytest.raises(TypeError, match="x must hold token numbers"):
        augment.substitute_tokens(TABLE, 0.5)(KEY, jnp.ones((2, 3)))
