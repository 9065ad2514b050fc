"""Initial weights: variance, shape of the distribution, and which suits which activation."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases, look_up
from initializer_table import CONSTANTS, EVERY_ROW, KINDS, MODES, TABLE

from jaxnn import nn
from jaxnn.nn import variance_scaling

FLAX = {
    "he": jax.nn.initializers.he_normal,
    "glorot": jax.nn.initializers.glorot_normal,
    "lecun": jax.nn.initializers.lecun_normal,
}
SHAPES = {"dense": (300, 500), "convolution": (3, 5, 32, 64)}
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES)


@jax.jit
def _everything(key):
    # As one program, in which each distribution is drawn once: drawing is slow to compile.
    makers = {row.name: row.make for row in TABLE}
    makers |= {f"flax {name}": make for name, make in FLAX.items()}
    return {
        (name, shape): make()(key, SHAPES[shape], jnp.float32)
        for name, make in makers.items()
        for shape in SHAPES
    }


@functools.cache
def everything(seed):
    return {name: np.asarray(w, float) for name, w in _everything(jax.random.key(seed)).items()}


@EVERY_ROW
@EVERY_SHAPE
def test_distribution(row, shape):
    sigma = math.sqrt(row.variance(SHAPES[shape]))
    w = everything(0)[row.name, shape]
    w = w - row.mean(SHAPES[shape])
    kurtosis, spread, largest = KINDS[row.kind]
    n = w.size
    # Without its correction a normal that is cut off would be 12 % narrower.
    np.testing.assert_allclose(w.std(), sigma, rtol=4 * math.sqrt((kurtosis - 1) / 4 / n))
    assert abs(w.mean()) < 4 * sigma / math.sqrt(n)
    np.testing.assert_allclose(
        np.mean(w**4) / np.mean(w**2) ** 2, kurtosis, atol=4 * spread / math.sqrt(n)
    )
    assert abs(w).max() <= largest * sigma * (1 + 1e-6)
    if row.kind == "normal":
        for cut, mass in ((2, 0.0455003), (3, 0.0026998)):
            assert abs(np.mean(abs(w) > cut * sigma) - mass) < 4 * math.sqrt(mass / n)
    else:
        assert abs(w).max() > largest * sigma * 0.999


@EVERY_SHAPE
@pytest.mark.parametrize("name", FLAX)
def test_cut_off_they_are_those_of_flax(name, shape):
    drawn = everything(0)
    np.testing.assert_allclose(
        drawn[f"{name}, cut off", shape], drawn[f"flax {name}", shape], rtol=1e-6, atol=2e-8
    )


def test_a_positive_mean_is_added_to_he():
    he, shape = everything(0)["he_normal", "dense"], SHAPES["dense"]
    run = jax.jit(jax.vmap(lambda mean: nn.positive_mean(mean)(jax.random.key(0), shape, float)))
    for mean, w in zip((0.0, 3.0), run(jnp.asarray([0.0, 3.0])), strict=True):
        np.testing.assert_allclose(w - he, mean / 300, atol=1e-6)


def test_another_key_draws_other_weights():
    for name, w in everything(0).items():
        assert not np.isclose(w, everything(1)[name]).mean() > 0.01, name


def many(init, shape):
    keys = jax.random.split(jax.random.key(0), 100)
    return np.asarray(jax.jit(jax.vmap(lambda key: init(key, shape, jnp.float32)))(keys))


DISTRIBUTIONS = {
    "normal": "normal",
    "untruncated_normal": "normal",
    "truncated_normal": "truncated_normal",
    "uniform": "uniform",
}


@cases("property", only=lambda case: case["name"].startswith("variance_scaling"))
def test_golden_variance_scaling(case):
    settings = case["settings"]
    distribution = look_up(DISTRIBUTIONS, settings["distribution"], case, "distribution")
    look_up(MODES, settings["mode"], case, "mode")
    init = variance_scaling(settings["scale"], settings["mode"], distribution)
    draws = many(init, tuple(settings["shape"]))
    np.testing.assert_allclose(draws[0].std(), case["expected"], **case["tolerance"])
    # The case's own tolerance would let a missing correction pass.
    np.testing.assert_allclose(draws.std(), case["expected"], rtol=4 / math.sqrt(2 * draws.size))


# The scale is a knob.

SCALES = np.array([0.0, 0.5, 1.0, 3.0])


@functools.cache
def by_scale():
    """Each row's weights by the number its knob is multiplied with: concrete, and of vmap."""
    key, shape = jax.random.key(0), (6, 4)

    def weights(row, factor):
        name, default = row.knob
        return row.make(**{name: factor * default})(key, shape, jnp.float32)

    @jax.jit
    def run(scales):
        half = {row.name: weights(row, 0.5) for row in TABLE}
        mapped = {
            row.name: jax.vmap(lambda scale, row=row: weights(row, scale))(scales) for row in TABLE
        }
        return half, mapped

    return jax.device_get(run(jnp.asarray(SCALES)))


@EVERY_ROW
def test_the_knob_multiplies_the_weights(row):
    half, mapped = (drawn[row.name] for drawn in by_scale())
    mean = row.mean((6, 4))
    assert np.ptp(mapped[2]) > 0.001
    expected = mean + np.multiply.outer(SCALES**row.power, mapped[2] - mean)
    np.testing.assert_allclose(mapped, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(half, mapped[1], rtol=1e-6, atol=1e-7)


@EVERY_ROW
def test_a_negative_scale_is_refused(row):
    name, _ = row.knob
    with pytest.raises(ValueError, match=rf"^{name} must be in \[0, inf\), got -0.5"):
        row.make(**{name: -0.5})


def test_a_negative_mean_is_refused():
    with pytest.raises(ValueError, match=r"^mean must be in \[0, inf\), got -0.5"):
        nn.positive_mean(-0.5)


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match=r"mode must be one of 'fan_in', .*got 'fan'"):
        variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ValueError, match=r"distribution must be one of 'normal', .*got 'gauss'"):
        variance_scaling(1.0, "fan_in", "gauss")


# What all have in common.

MAKERS = {row.name: row.make for row in TABLE} | {
    name: make for name, (make, _) in CONSTANTS.items()
}


@pytest.mark.parametrize("name", MAKERS)
def test_dtype(name):
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        init = MAKERS[name]()
        w = jax.eval_shape(lambda key, d=dtype, f=init: f(key, (4, 5), d), jax.random.key(0))
        assert w.dtype == dtype and w.shape == (4, 5)


def test_float_is_64_bits_where_x64_is_on(x64):
    for make in MAKERS.values():
        init = make()
        assert jax.eval_shape(lambda k, f=init: f(k, (4, 5)), jax.random.key(0)).dtype == "float64"


@pytest.mark.parametrize("row", [row for row in TABLE if row.fans], ids=lambda row: row.name)
def test_a_shape_without_a_fan_in_is_refused(row):
    for shape in ((5,), ()):
        with pytest.raises(ValueError, match="shape must have two axes or more"):
            row.make()(jax.random.key(0), shape)


# Those of a given size.


def test_constants(x64):
    key = jax.random.key(0)
    for make, value in CONSTANTS.values():
        np.testing.assert_array_equal(make()(key, (3, 2), float), np.full((3, 2), value))
    run = jax.vmap(lambda value: nn.constant(value)(key, (3,), float))
    np.testing.assert_array_equal(run(jnp.array([0.01, -2.0])), [[0.01] * 3, [-2.0] * 3])
    with pytest.raises(ValueError, match=r"value must be in .*got nan"):
        nn.constant(math.nan)


@functools.cache
def gradient_of_equal_weights(activation):
    """As a function of the value of all weights."""
    x, y = np.random.default_rng(0).normal(size=(2, 8, 4))

    @jax.jit
    def gradient(value):
        model = nn.MLP((5, 3, 4), activation=activation, kernel_init=nn.constant(value))
        params = model.init(jax.random.key(1), x)["params"]
        return jax.grad(lambda p: ((model.apply({"params": p}, x) - y) ** 2).mean())(params)

    return gradient


@pytest.mark.parametrize(
    ("activation", "learns"),
    [
        ("tanh", {"['Dense_2']['bias']"}),
        ("relu", {"['Dense_2']['bias']"}),
        ("sigmoid", {"['Dense_2']['bias']", "['Dense_2']['kernel']"}),  # which is ½ at 0
    ],
)
def test_zero_weights_get_no_gradient_but_in_the_last_layer(activation, learns):
    leaves = jax.tree_util.tree_leaves_with_path(gradient_of_equal_weights(activation)(0.0))
    assert {jax.tree_util.keystr(path) for path, leaf in leaves if np.any(leaf)} == learns


def test_equal_weights_get_equal_gradients():
    for layer in ("Dense_0", "Dense_1"):
        kernel = np.asarray(gradient_of_equal_weights("tanh")(0.3)[layer]["kernel"])
        assert np.abs(kernel).max() > 1e-4
        assert np.ptp(kernel, axis=1).max() < 1e-8


def test_orthogonal():
    shapes = ((5, 8), (3, 3, 2, 7))
    drawn = jax.jit(lambda key: [nn.orthogonal(1.5)(key, shape) for shape in shapes])
    for w in drawn(jax.random.key(0)):
        w = np.asarray(w, float).reshape(-1, w.shape[-1])
        product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        np.testing.assert_allclose(product, 2.25 * np.eye(min(w.shape)), atol=1e-5)


def test_orthogonal_has_no_preferred_direction():
    n = 4000
    keys = jax.random.split(jax.random.key(0), n)
    q = np.asarray(jax.jit(jax.vmap(lambda key: nn.orthogonal()(key, (3, 3), float)))(keys))
    # Uniform over all: entries have mean 0 and variance 1/3, and both determinants occur.
    np.testing.assert_allclose(q.mean(axis=0), 0, atol=4 / math.sqrt(3 * n))
    np.testing.assert_allclose((q**2).mean(axis=0), 1 / 3, atol=4 * 0.3 / math.sqrt(n))
    assert abs(np.mean(np.linalg.det(q) > 0) - 0.5) < 4 * 0.5 / math.sqrt(n)
