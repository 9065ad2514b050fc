"""Pooling over one to three axes, with and without a batch, against Flax; and global pooling."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn import (
    StochasticPool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
    stochastic_pool,
    stochastic_pool_mean,
)

SHAPES = [(2, 9, 3), (7, 6, 3), (3, 2, 5, 6, 2), (4, 5, 4, 2)]


@pytest.mark.parametrize(("shape", "axes"), list(zip(SHAPES, (1, 2, 2, 3), strict=True)), ids=str)
def test_as_in_flax(shape, axes):
    x = jax.random.normal(jax.random.key(0), shape)
    window = (2, 3, 2)[:axes]
    for ours, flax in ((max_pool, nn.max_pool), (avg_pool, nn.avg_pool)):
        y = ours(x, window, 2, "SAME")
        z = flax(x, window, (2,) * axes, "SAME")
        np.testing.assert_allclose(y, z, rtol=1e-6, atol=1e-6)
    part = avg_pool(x, window, 2, "SAME", count_include_pad=False)
    other = nn.avg_pool(x, window, (2,) * axes, "SAME", count_include_pad=False)
    np.testing.assert_allclose(part, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pool", [max_pool, avg_pool, stochastic_pool_mean])
@pytest.mark.parametrize("shape", [(2, 8, 3), (2, 2, 4, 4, 3)], ids=str)
def test_a_single_number_is_for_images(pool, shape):
    with pytest.raises(ValueError, match=r"x must be images .* a single number, got shape"):
        pool(jnp.ones(shape), 2)
    with pytest.raises(ValueError, match=r"x must be images .* a single number, got shape"):
        StochasticPool(2).apply({}, jnp.ones(shape))


def test_stochastic_pooling_of_sequences_draws_an_entry_of_each_window():
    x = jnp.arange(1.0, 17.0).reshape(1, 16, 1)
    y = np.asarray(stochastic_pool(0, x, (4,), 4)).ravel()
    assert ((y - 1) // 4 == np.arange(4)).all()


def test_global_pooling_of_other_inputs_than_images():
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    for axes, over in ((1, (2,)), (2, (1, 2)), (3, (0, 1, 2))):
        np.testing.assert_array_equal(global_max_pool(x, spatial_axes=axes), x.max(over))
        np.testing.assert_allclose(
            global_avg_pool(x, spatial_axes=axes), x.mean(over), rtol=1e-5, atol=1e-6
        )


def test_of_equal_largest_entries_the_first_has_the_gradient_and_nan_stays():
    slope = jax.grad(lambda x: global_max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(slope.ravel(), [1, 0, 0, 0])
    assert np.isnan(global_max_pool(jnp.ones((1, 2, 2, 1)).at[0, 1, 0, 0].set(jnp.nan))).all()
    lowest = jnp.full((1, 2, 2, 1), -jnp.inf)
    np.testing.assert_array_equal(global_max_pool(lowest), [[-np.inf]])
