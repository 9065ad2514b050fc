"""Initial weights: variance, shape of the distribution, and which suits which activation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import GOLDEN

from jaxnn import nn

# Name: the standard deviation from (fan-in, fan-out), and whether it is a normal.
FORMULAS = {
    "he_normal": (lambda i, o: np.sqrt(2 / i), True),
    "glorot_normal": (lambda i, o: np.sqrt(2 / (i + o)), True),
    "glorot_uniform": (lambda i, o: np.sqrt(6 / (i + o)) / np.sqrt(3), False),
}

EVERY_ONE = pytest.mark.parametrize("name", FORMULAS)
SHAPES = pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((800, 500), (800, 500)),
        ((500, 800), (500, 800)),
        ((3, 5, 64, 128), (3 * 5 * 64, 3 * 5 * 128)),  # a convolution
    ],
)


def draw(name, shape, key=0, **dtype):
    return np.asarray(getattr(nn, name)()(jax.random.key(key), shape, **dtype), np.float64)


@EVERY_ONE
@SHAPES
def test_standard_deviation_and_mean(name, shape, fans):
    w, sigma = draw(name, shape), FORMULAS[name][0](*fans)
    # 4 sigma of the estimate are 0.45 % for 400000 numbers: a truncation would be 12 % off.
    np.testing.assert_allclose(w.std(), sigma, rtol=0.01)
    assert abs(w.mean()) < 4 * sigma / np.sqrt(w.size)


@EVERY_ONE
def test_shape_of_the_distribution(name):
    w = draw(name, (1000, 400))
    z, n = w / FORMULAS[name][0](1000, 400), w.size
    kurtosis = np.mean(z**4) / np.mean(z**2) ** 2
    if FORMULAS[name][1]:
        np.testing.assert_allclose(kurtosis, 3, atol=4 * np.sqrt(24 / n))
        for cut, mass in ((2, 0.0455003), (3, 0.0026998)):  # a normal cut off at 2 has none
            assert abs(np.mean(abs(z) > cut) - mass) < 4 * np.sqrt(mass / n)
    else:
        np.testing.assert_allclose(kurtosis, 9 / 5, atol=0.01)
        assert np.sqrt(3) * (1 - 1e-3) < abs(z).max() <= np.sqrt(3) * (1 + 1e-6)


def test_golden_201_in_a_plain_normal():
    """The case's number in its shape; its tolerance is wide, and ours 4 sigma."""
    case = GOLDEN["201"]
    assert (case["settings"]["scale"], case["settings"]["mode"]) == (2.0, "fan_in")
    draws = [draw("he_normal", tuple(case["settings"]["shape"]), key) for key in range(40)]
    np.testing.assert_allclose(draws[0].std(), case["expected"], **case["tolerance"])
    np.testing.assert_allclose(np.std(draws), case["expected"], rtol=4 / np.sqrt(2 * 20_000))
    assert np.abs(draws).max() > 3 * case["expected"]  # Flax's and Keras' stop at 2 / 0.88


@EVERY_ONE
def test_same_key_same_weights_and_dtype(name):
    np.testing.assert_array_equal(draw(name, (4, 5)), draw(name, (4, 5)))
    assert not np.array_equal(draw(name, (4, 5)), draw(name, (4, 5), key=1))
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        w = getattr(nn, name)()(jax.random.key(0), (4, 5), dtype)
        assert w.dtype == dtype and w.shape == (4, 5)


@EVERY_ONE
def test_a_shape_without_a_fan_in_is_refused(name):
    for shape in ((5,), ()):
        with pytest.raises(ValueError, match="shape must have two axes or more"):
            getattr(nn, name)()(jax.random.key(0), shape)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ("relu", "he_normal"),
        (nn.relu, "he_normal"),
        (jax.nn.relu, "he_normal"),
        ("tanh", "glorot_uniform"),
        (nn.tanh, "glorot_uniform"),
        (jnp.tanh, "glorot_uniform"),
        ("softmax", "glorot_uniform"),
        (lambda x: x, "glorot_uniform"),
    ],
)
def test_lecture_m_table(activation, name):
    key, shape = jax.random.key(3), (6, 4)
    np.testing.assert_array_equal(
        nn.initializer_for(activation)(key, shape, jnp.float32), draw(name, shape, 3)
    )
