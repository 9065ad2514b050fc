"""Regression losses: shapes, kinks and far residuals."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.losses import absolute_error, huber, squared_error

RNG = np.random.default_rng(0)
EVERY_ONE = pytest.mark.parametrize("loss", [squared_error, absolute_error, huber])


def test_the_mean_over_outputs_whatever_their_shape(x64):
    """Their formulas are in the table; a loss per token is that of `jax.vmap`."""
    for shape in ((6,), (6, 1), (6, 2, 3)):
        a, b = RNG.normal(size=shape), RNG.normal(size=shape)
        squares = ((a - b) ** 2).reshape(6, -1)
        np.testing.assert_allclose(jax.jit(squared_error)(a, b), squares.mean(1), rtol=1e-14)
    tokens = jax.jit(jax.vmap(squared_error))(a, b)
    np.testing.assert_allclose(tokens, ((a - b) ** 2).mean(-1), rtol=1e-14)


@EVERY_ONE
@pytest.mark.parametrize(
    ("predictions", "targets"), [((6, 1), (6,)), ((6,), (6, 1)), ((6, 3), (1, 3)), ((6, 3), (3,))]
)
def test_nothing_is_broadcast(loss, predictions, targets):
    with pytest.raises(ValueError, match="targets must have the shape of the predictions"):
        loss(jnp.ones(predictions), jnp.ones(targets))


def test_integer_targets_are_numbers():
    np.testing.assert_array_equal(squared_error(jnp.asarray([1.5]), jnp.asarray([4])), [6.25])


def test_slopes_at_the_kinks_and_far_out():
    r = np.array([0.0, 0.5, -0.5, 1e30, -1e30], np.float32)

    @partial(jax.jit, static_argnums=0)
    def slope(loss, r):
        return jax.grad(lambda r: loss(r, jnp.zeros(5)).sum())(r)

    np.testing.assert_array_equal(slope(absolute_error, r), [0, 1, -1, 1, -1])
    np.testing.assert_allclose(slope(huber, r), [0, 0.5, -0.5, 1, -1], rtol=1e-6)
    half = partial(huber, delta=0.5)
    np.testing.assert_allclose(slope(half, r), [0, 0.5, -0.5, 0.5, -0.5], rtol=1e-6)


def test_half_precision_residuals_are_taken_in_float32():
    """60000² overflows float16, and 256 + 1 is 256 in bfloat16."""
    far = squared_error(jnp.asarray([6e4], "float16"), jnp.asarray([0.0], "float16"))
    np.testing.assert_allclose(far, float(jnp.float16(6e4)) ** 2, rtol=1e-6)
    near = absolute_error(jnp.asarray([1.0], "bfloat16"), jnp.asarray([-256.0], "bfloat16"))
    np.testing.assert_array_equal(near, [257.0])
