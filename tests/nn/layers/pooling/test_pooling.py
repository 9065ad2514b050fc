"""Pooling against Flax, its gradients at ties included, and the oracle numbers."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases, look_up, ratio

from jaxnn.nn import avg_pool, max_pool

WINDOWS = [
    ((2, 2), (2, 2), "VALID"),
    ((3, 3), (2, 2), "SAME"),
    ((3, 2), (1, 2), "VALID"),
    ((3, 3), (1, 1), ((1, 1), (0, 2))),
    ((2, 2), (3, 3), "VALID"),
]
EVERY_WINDOW = pytest.mark.parametrize(("window", "strides", "padding"), WINDOWS, ids=str)


def with_ties():
    x = np.random.default_rng(0).normal(size=(2, 7, 8, 3))
    return jnp.asarray(np.round(2 * x) / 2, jnp.float32)


@EVERY_WINDOW
@pytest.mark.parametrize(("ours", "flax"), [(max_pool, nn.max_pool), (avg_pool, nn.avg_pool)])
def test_values_and_gradients_of_flax_ties_included(ours, flax, window, strides, padding):
    @jax.jit
    def both(x, ct):
        found, expected = (
            jax.vjp(lambda x, pool=pool: pool(x, window, strides, padding), x)
            for pool in (ours, flax)
        )
        return (found[0], *found[1](ct)), (expected[0], *expected[1](ct))

    x = with_ties()
    shape = jax.eval_shape(lambda x: ours(x, window, strides, padding), x).shape
    found, expected = both(x, jnp.asarray(np.random.default_rng(1).normal(size=shape), float))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-5)


def test_padding_left_out_of_the_mean_as_in_flax():
    x = with_ties()
    y = avg_pool(x, 3, 2, "SAME", count_include_pad=False)
    z = nn.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False)
    np.testing.assert_allclose(y, z, rtol=1e-6, atol=1e-6)


def test_the_padding_is_never_the_largest_and_nan_stays():
    x = -jnp.ones((1, 2, 2, 1))
    np.testing.assert_array_equal(max_pool(x, 3, 1, 1), -1)
    spoiled = np.tile(x, (4, 1, 1, 1))
    for example, place in enumerate(np.ndindex(2, 2)):
        spoiled[example, *place, 0] = np.nan
    assert np.isnan(max_pool(jnp.asarray(spoiled), 2)).all()
    assert max_pool(jnp.full((1, 2, 2, 1), -5), 2, padding=1).max() == -5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_mean_of_many_in_half_precision(dtype):
    x = jnp.full((1, 64, 64, 1), 1.5, dtype)
    y = jax.jit(lambda x: avg_pool(x, 64))(x)
    assert y.dtype == dtype and float(y[0, 0, 0, 0]) == 1.5
    assert max_pool(x, 2).dtype == dtype


def _golden(pool):
    def call(case):
        settings = dict(case["settings"])
        window, stride = settings.pop("window"), settings.pop("stride")
        x = jnp.asarray(case["inputs"]["x"], float)[None, ..., None]
        return pool(x, window, stride, **settings)[0, ..., 0]

    return call


CALLS = {"max_pool": _golden(max_pool), "avg_pool": _golden(avg_pool)}


@cases("layer", only=lambda case: "pool" in case["name"])
def test_golden(case):
    assert ratio(look_up(CALLS, case["name"], case, "layer")(case), case) <= 1
