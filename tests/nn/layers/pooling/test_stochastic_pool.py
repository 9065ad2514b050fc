"""Stochastic pooling: probabilities, the mean, gradients, padding, and edges."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_formulas import pool_probabilities, windows
from layer_formulas import stochastic_pool_mean as expected_mean

from jaxnn import nn as pooling

# Compiled as a whole, since one by one the operations take longer to compile.
stochastic_pool = jax.jit(pooling.stochastic_pool, static_argnums=(2, 3, 4))
stochastic_pool_mean = jax.jit(pooling.stochastic_pool_mean, static_argnums=(1, 2, 3))

KEY = jax.random.key(0)
GEOMETRIES = [
    (2, 2, "VALID"),
    (3, 2, "VALID"),  # the paper's
    (3, 2, "SAME"),
    ((1, 3), (2, 1), ((0, 1), (2, 0))),
]
EVERY_GEOMETRY = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)


def images(n=2, height=7, width=6, channels=3):
    """Distinct numbers, a third of them negative."""
    x = np.random.default_rng(0).permutation(n * height * width * channels)
    return (x.reshape(n, height, width, channels) / x.size - 1 / 3).astype(np.float32)


@EVERY_GEOMETRY
def test_evaluation_is_the_mean_by_probability(geometry):
    x = images()
    expected = expected_mean(x, *geometry)
    np.testing.assert_allclose(stochastic_pool_mean(x, *geometry), expected, rtol=1e-5)


@EVERY_GEOMETRY
def test_training_draws_each_entry_as_often_as_it_is_large(geometry):
    x, draws = images(), 3000
    keys = jax.random.split(KEY, draws)
    y = np.asarray(jax.jit(jax.vmap(lambda key: stochastic_pool(key, x, *geometry)))(keys))
    w = windows(x, *geometry)
    p = pool_probabilities(w)
    fraction = np.mean(y[..., None] == w, axis=0)  # (…, entries): the numbers are distinct
    assert (fraction[(p == 0) & (w != 0)] == 0).all()
    error = np.where(w != 0, fraction - p, 0) / np.sqrt(np.maximum(p * (1 - p), 1e-3) / draws)
    assert np.abs(error).max() < 5
    # A window without a positive entry gives 0, and nothing else does.
    np.testing.assert_array_equal(y == 0, np.broadcast_to((p == 0).all(-1), y.shape))


def test_windows_and_channels_draw_for_themselves():
    x = jnp.tile(jnp.asarray([[1.0, 2.0], [0.0, 0.0]]), (32, 32))[None, :, :, None]
    x = jnp.broadcast_to(x, (8, 64, 64, 4))
    y = np.asarray(stochastic_pool(KEY, x, 2, 2)) == 1  # with probability 1/3
    centred = y - 1 / 3
    for a, b in (
        (centred[1:], centred[:-1]),
        (centred[:, 1:], centred[:, :-1]),
        (centred[:, :, 1:], centred[:, :, :-1]),
        (centred[..., 1:], centred[..., :-1]),
    ):
        assert abs(np.mean(a * b)) < 4 * (2 / 9) / np.sqrt(a.size)


def test_the_gradient_goes_to_the_entry_that_was_drawn(x64):
    x = jnp.asarray(images(), float)
    y, pullback = jax.vjp(lambda x: stochastic_pool(KEY, x, 2, 2), x)
    cotangent = jnp.arange(1.0, y.size + 1).reshape(y.shape)
    (slope,) = pullback(cotangent)
    where = {value: at for at, value in np.ndenumerate(np.asarray(x))}
    expected = np.zeros(x.shape)
    for at, value in np.ndenumerate(np.asarray(y)):
        if value != 0:
            expected[where[value]] = cotangent[at]
    np.testing.assert_array_equal(slope, expected)


def test_the_gradient_of_the_mean(x64):
    """∂y/∂a = (2a − y)/Σa at positive entries, and 0 at the others."""
    x = jnp.asarray(images(), float)[:, :6]
    y, pullback = jax.vjp(lambda x: stochastic_pool_mean(x, 2, 2), x)
    (slope,) = pullback(jnp.ones_like(y))
    total = windows(np.maximum(x, 0), 2, 2, "VALID").sum(-1)
    spread = lambda a: np.repeat(np.repeat(a, 2, 1), 2, 2)  # noqa: E731
    divisor = np.where(spread(total) > 0, spread(total), 1)
    expected = np.where(x > 0, (2 * x - spread(np.asarray(y))) / divisor, 0)
    np.testing.assert_allclose(slope, expected, rtol=1e-11, atol=1e-12)


def test_a_window_of_zeros_gives_0_and_a_gradient_of_0():
    x = jnp.zeros((1, 2, 2, 1)).at[0, 0, 0, 0].set(-1.0)
    for pool in (partial(stochastic_pool, KEY), stochastic_pool_mean):
        y, slope = jax.jit(jax.value_and_grad(lambda x, pool=pool: pool(x, 2).sum()))(x)
        assert float(y) == 0
        np.testing.assert_array_equal(slope, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    x = jnp.ones((1, 2, 4, 1)).at[0, 1, 1, 0].set(bad)
    for y in (stochastic_pool(KEY, x, 2, 2), stochastic_pool_mean(x, 2, 2)):
        assert np.isnan(y[0, 0, 0, 0]) and float(y[0, 0, 1, 0]) == 1


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_dtype_is_kept_and_sums_are_not_rounded_to_it(dtype):
    """15 ones beside one 256: in bfloat16 their sum would stay at 256."""
    x = jnp.ones((1, 1, 16, 500), dtype).at[:, :, 0].set(256)
    y, mean = stochastic_pool(KEY, x, (1, 16)), stochastic_pool_mean(x, (1, 16))
    assert y.dtype == mean.dtype == dtype
    small = np.mean(np.asarray(y, float) == 1)
    assert abs(small - 15 / 271) < 4 * np.sqrt(15 * 256 / 271**2 / 500)
    np.testing.assert_array_equal(mean, np.asarray((256**2 + 15) / 271).astype(dtype))
