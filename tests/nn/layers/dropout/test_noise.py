"""Gaussian and alpha dropout: mean and variance of what they multiply and replace."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn import alpha_dropout, gaussian_dropout, selu

KEY = jax.random.key(0)
N = 400_000


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_gaussian_noise_has_mean_1_and_the_variance_of_dropout(rate):
    """Its moments up to the fourth, which a normal distribution has."""
    z = np.asarray(gaussian_dropout(KEY, jnp.ones(N), rate), float) - 1
    deviation = np.sqrt(rate / (1 - rate))
    z /= deviation
    moments = [np.mean(z**power) for power in (1, 2, 3, 4)]
    bounds = 5 * np.sqrt(np.asarray([1, 2, 15, 96]) / N)
    assert (np.abs(np.asarray(moments) - [0, 1, 0, 3]) < bounds).all()


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_alpha_dropout_keeps_mean_and_variance_of_self_normalizing_units(rate):
    """Of standard normal units, and of those behind SELU, whose mean is 0 and variance 1."""
    x = jax.random.normal(jax.random.key(1), (N,))
    for units in (x, selu(x)):
        y = np.asarray(alpha_dropout(KEY, units, rate), float)
        assert abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.02


def test_alpha_dropout_is_its_formula():
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    y, rate = np.asarray(alpha_dropout(KEY, x, 0.2), float), 0.2
    lowest = float(selu(jnp.float32(-1e4)))
    a = (0.8 + lowest**2 * 0.8 * rate) ** -0.5
    dropped = np.isclose(y, a * lowest - a * rate * lowest, rtol=1e-5)
    assert abs(dropped.mean() - rate) < 5 * np.sqrt(rate * 0.8 / 1000)
    np.testing.assert_allclose(
        y[~dropped], (a * x - a * rate * lowest)[~dropped], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("draw", [gaussian_dropout, alpha_dropout])
def test_one_draw_is_shared_along_the_axes_asked_for(draw):
    y = np.asarray(draw(KEY, jnp.ones((50, 6, 4)), 0.5, broadcast_dims=(1,)))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    assert np.unique(y[:, 0]).size > 1
    with pytest.raises(ValueError, match="x must be floating, got int32"):
        draw(KEY, jnp.ones(3, jnp.int32), 0.5)
