"""Sparsemax against the definition: the nearest point of the simplex, and its Jacobian."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from activation_table import OF_SEVERAL

from jaxnn import nn

sparsemax = jax.jit(nn.sparsemax, static_argnames="axis")
X = np.random.default_rng(0).normal(size=(30, 6)) * np.geomspace(0.05, 5, 30)[:, None]


def jacobian(p):
    inside = p > 0
    return np.diag(inside.astype(float)) - np.outer(inside, inside) / inside.sum()


NEAREST = OF_SEVERAL["sparsemax"](X)


def test_it_is_the_nearest_point_of_the_simplex(x64):
    assert 1 <= (NEAREST > 0).sum(axis=1).min() < (NEAREST > 0).sum(axis=1).max() == 6
    np.testing.assert_allclose(sparsemax(X), NEAREST, rtol=1e-12, atol=1e-15)
    one_by_one = jax.vmap(sparsemax)(jnp.asarray(X))
    np.testing.assert_allclose(one_by_one, NEAREST, rtol=1e-12, atol=1e-15)


def test_jacobian_forward_and_backward(x64):
    expected = np.array([jacobian(p) for p in NEAREST])
    for direction in (jax.jacfwd, jax.jacrev):
        actual = jax.jit(jax.vmap(direction(sparsemax)))(X)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


def test_jacobian_against_central_differences(x64):
    h, v = 1e-6, np.random.default_rng(1).normal(size=X.shape)
    slope = (sparsemax(X + h * v) - sparsemax(X - h * v)) / (2 * h)
    _, actual = jax.jvp(sparsemax, (jnp.asarray(X),), (jnp.asarray(v),))
    np.testing.assert_allclose(actual, slope, atol=1e-8)


@pytest.mark.parametrize("axis", [0, -2])
def test_any_axis(axis, x64):
    x = X.reshape(5, 6, 6)
    expected = OF_SEVERAL["sparsemax"](x, axis)
    np.testing.assert_allclose(sparsemax(x, axis=axis), expected, rtol=1e-12, atol=1e-15)
    w = np.random.default_rng(2).normal(size=x.shape)
    actual = jax.jit(jax.grad(lambda x: (w * nn.sparsemax(x, axis)).sum()))(x)
    pull = [
        jacobian(p) @ v
        for p, v in zip(
            np.moveaxis(expected, axis, -1).reshape(-1, x.shape[axis]),
            np.moveaxis(w, axis, -1).reshape(-1, x.shape[axis]),
            strict=True,
        )
    ]
    pull = np.reshape(pull, np.moveaxis(x, axis, -1).shape)
    np.testing.assert_allclose(np.moveaxis(np.asarray(actual), axis, -1), pull, atol=1e-13)


def test_shift_and_ties(x64):
    np.testing.assert_allclose(sparsemax(X + 1e6), NEAREST, atol=1e-9)
    x = np.array([[2.0, 2, 2, 2], [1, 0, -1, -1]])  # the second on the border
    np.testing.assert_array_equal(sparsemax(x), [[0.25] * 4, [1, 0, 0, 0]])
    np.testing.assert_array_equal(sparsemax(np.array([7.0])), [1])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtypes_and_large_scores(dtype):
    x = jnp.asarray([6e4, -6e4, 0.0, 6e4], dtype)
    p, slope = jax.jit(jax.value_and_grad(lambda x: nn.sparsemax(x)[0].astype(float)))(x)
    assert slope.dtype == dtype
    assert float(p) == 0.5
    np.testing.assert_array_equal(np.asarray(slope, float), [0.5, 0, 0, -0.5])
    # Many scores: in half precision a running sum would stop growing.
    many = sparsemax(jnp.full((8192,), 3.0, dtype))
    assert many.dtype == dtype
    np.testing.assert_array_equal(np.asarray(many, float), 1 / 8192)


def test_integers_are_scores_too():
    np.testing.assert_array_equal(sparsemax(jnp.array([1, 1, -4])), [0.5, 0.5, 0])
