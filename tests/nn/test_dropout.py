"""Dropout: its scaling, its statistics, rates at the edges, and that it draws by address."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import GOLDEN

from jaxnn.nn import dropout

KEY = jax.random.key(0)


def test_golden_203_the_kept_are_scaled_so_that_the_mean_stays():
    case = GOLDEN["203"]
    settings, expected = case["settings"], case["expected"]
    y = dropout(KEY, jnp.ones(settings["shape"]), settings["rate"])
    np.testing.assert_allclose(y.mean(), expected["mean"], **case["tolerance"])
    np.testing.assert_array_equal(np.unique(y), [0.0, expected["max"]])


@pytest.mark.parametrize("rate", GOLDEN["204"]["settings"]["rates"])
def test_golden_204_fraction_kept(rate):
    case = GOLDEN["204"]
    n = case["settings"]["elements"]
    kept = np.count_nonzero(dropout(KEY, jnp.ones(n), rate))
    sigma = np.sqrt(n * rate * (1 - rate))
    assert abs(kept - n * (1 - rate)) < case["tolerance"]["sigmas"] * sigma


def test_golden_205_rate_0_is_the_identity():
    assert GOLDEN["205"]["expected"]["rate0"] == "identity"
    x = jnp.asarray([0.0, -0.0, 1e-30, 3.3, -7e37, jnp.inf], jnp.float32)
    assert np.asarray(dropout(KEY, x, 0.0)).tobytes() == np.asarray(x).tobytes()


def test_golden_205_rate_1_is_refused_or_behind_a_tracer_zero():
    """The peers drop everything at 1. The lectures' 1/(1 − r) has no value there."""
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\), got 1.0"):
        dropout(KEY, jnp.ones(3), 1.0)
    y = jax.jit(dropout)(KEY, jnp.ones(100), jnp.float32(1.0))
    np.testing.assert_array_equal(y, np.zeros(100))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9, 0.999, 0.999999])
def test_kept_entries_are_exactly_x_over_1_minus_rate(rate):
    x = jax.random.normal(jax.random.key(1), (4000, 1000))  # 4 are kept at the last rate
    y = np.asarray(jax.jit(dropout)(KEY, x, jnp.float32(rate)))
    kept = y != 0
    assert kept.any()
    # The rate that arrives is the float32 next to the one written, and so is 1 - rate.
    keep = np.float32(1) - np.float32(rate)
    np.testing.assert_allclose(y[kept], np.asarray(x)[kept] / keep, rtol=1.2e-7)
    n, keep = y.size, float(keep)
    assert abs(kept.sum() - n * keep) < 4 * np.sqrt(n * keep * (1 - keep))
    assert np.isfinite(y).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_rate_near_1_is_not_rounded_to_the_dtype_of_x(dtype):
    """In bfloat16 0.999 is 1, and the kept fraction of 0.9 is off by far more than 4 sigma."""
    for rate in (0.9, 0.999):
        y = dropout(KEY, jnp.ones(1_000_000, dtype), rate)
        assert y.dtype == dtype
        kept = np.count_nonzero(np.asarray(y, np.float32))
        assert abs(kept - 1e6 * (1 - rate)) < 4 * np.sqrt(1e6 * rate * (1 - rate))
        expected = np.asarray(1 / (1 - rate)).astype(dtype)
        assert np.asarray(y).max() == expected


def test_what_one_rate_drops_every_higher_rate_drops():
    x = jnp.ones(10_000)
    masks = [np.asarray(dropout(KEY, x, rate)) != 0 for rate in (0.1, 0.5, 0.9)]
    for lower, higher in itertools.pairwise(masks):
        assert (lower | ~higher).all() and (lower != higher).any()


def test_the_gradient_is_the_mask_over_1_minus_rate():
    x = jax.random.normal(jax.random.key(1), (1000,))
    y, pullback = jax.vjp(lambda x: dropout(KEY, x, 0.75), x)
    (slope,) = pullback(jnp.ones(1000))
    np.testing.assert_array_equal(slope, np.where(y != 0, 4.0, 0.0))


def test_the_gradient_of_a_rate_near_1_is_finite():
    loss = lambda rate: dropout(KEY, jnp.ones(100), rate).sum()  # noqa: E731
    slope = jax.jit(jax.grad(loss))(jnp.float32(0.999999))
    np.testing.assert_array_equal(slope, 0.0)  # none of 100 is kept, so the sum is 0 around it
    # Two of four kept at rate r: 2/(1 - r) has the derivative 2/(1 - r)^2.
    kept = np.count_nonzero(dropout(KEY, jnp.ones(100), 0.5))
    np.testing.assert_allclose(jax.grad(loss)(0.5), kept / 0.25, rtol=1e-6)


def test_entries_are_independent_of_one_another():
    """Neither neighbours along an axis nor the two halves of the counter go together."""
    y = np.asarray(dropout(KEY, jnp.ones((1000, 1000)), 0.5)) - 1  # -1 or 1
    for a, b in [(y[1:], y[:-1]), (y[:, 1:], y[:, :-1]), (y[:500], y[500:])]:
        assert abs(np.mean(a * b)) < 4 / np.sqrt(a.size)
