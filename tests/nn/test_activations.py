"""Activations against their formulas, and their gradients against central differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn import ACTIVATIONS, activation

# Name: the lecture's formula, and points where a difference across a kink would be no slope.
FORMULAS = {
    "relu": (lambda x: np.maximum(0, x), (0.0,)),
    "tanh": (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), ()),
}

EVERY_ONE = pytest.mark.parametrize("name", ACTIVATIONS)


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@EVERY_ONE
def test_formula(name, x64):
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(
        ACTIVATIONS[name](jnp.asarray(x)), FORMULAS[name][0](x), rtol=1e-12, atol=1e-15
    )


@EVERY_ONE
def test_gradient_against_central_differences(name, x64):
    f, kinks = activation(name), FORMULAS[name][1]
    x, h = np.linspace(-3, 3, 61) + 0.013, 1e-6
    assert all(np.abs(x - kink).min() > h for kink in kinks)
    slope = (FORMULAS[name][0](x + h) - FORMULAS[name][0](x - h)) / (2 * h)
    np.testing.assert_allclose(jax.vmap(jax.grad(f))(jnp.asarray(x)), slope, rtol=1e-7, atol=1e-9)


@EVERY_ONE
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype_is_kept_and_large_inputs_stay_finite(name, dtype):
    x = jnp.asarray([-6e4, 0.0, 6e4], dtype)
    y, slope = activation(name)(x), jax.vmap(jax.grad(activation(name)))(x)
    assert y.dtype == slope.dtype == dtype
    large = {"relu": [0.0, 0.0, float(x[2])], "tanh": [-1.0, 0.0, 1.0]}[name]
    np.testing.assert_array_equal(np.asarray(y, np.float32), large)
    slopes = {"relu": [0.0, 0.0, 1.0], "tanh": [0.0, 1.0, 0.0]}[name]  # relu'(0) = 0
    np.testing.assert_array_equal(np.asarray(slope, np.float32), slopes)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"activation must be one of 'relu'.*got 'Relu'"):
        activation("Relu")
