"""Initial weights: variance, shape of the distribution, and which suits which activation."""

from __future__ import annotations

import functools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases, look_up

from jaxnn import nn
from jaxnn.nn import variance_scaling

# A normal cut off at ±2: its variance and fourth moment, by hand.
DENSITY = math.exp(-2) / math.sqrt(2 * math.pi)
MASS = math.erf(math.sqrt(2))
CUT_VARIANCE = 1 - 4 * DENSITY / MASS
CUT_KURTOSIS = (3 * CUT_VARIANCE - 16 * DENSITY / MASS) / CUT_VARIANCE**2

# Of the kinds: the fourth moment over the square of the second, a bound on how that deviates
# from draw to draw, times √n, and the largest number over the standard deviation.
KINDS = {
    "normal": (3, math.sqrt(24), math.inf),
    "uniform": (9 / 5, 3, math.sqrt(3)),
    "truncated_normal": (CUT_KURTOSIS, 4, 2 / math.sqrt(CUT_VARIANCE)),
}
MODES = {
    "fan_in": lambda i, o: i,
    "fan_out": lambda i, o: o,
    "fan_avg": lambda i, o: (i + o) / 2,
}


def he(i, o):
    return 2 / i


def glorot(i, o):
    return 2 / (i + o)


def lecun(i, o):
    return 1 / i


def small(i, o):
    return 0.01**2


# Name: how to make it, the variance from (fan-in, fan-out), and the kind of distribution.
FORMULAS = {
    "he_normal": (nn.he_normal, he, "normal"),
    "he_uniform": (nn.he_uniform, he, "uniform"),
    "he, cut off": (partial(nn.he_normal, truncated=True), he, "truncated_normal"),
    "glorot_normal": (nn.glorot_normal, glorot, "normal"),
    "glorot_uniform": (nn.glorot_uniform, glorot, "uniform"),
    "glorot, cut off": (partial(nn.glorot_normal, truncated=True), glorot, "truncated_normal"),
    "lecun_normal": (nn.lecun_normal, lecun, "normal"),
    "lecun_uniform": (nn.lecun_uniform, lecun, "uniform"),
    "lecun, cut off": (partial(nn.lecun_normal, truncated=True), lecun, "truncated_normal"),
    "normal": (nn.normal, small, "normal"),
    "normal, cut off": (partial(nn.normal, truncated=True), small, "truncated_normal"),
    "lecture C": (
        partial(variance_scaling, 0.5, "fan_avg", "normal"),
        lambda i, o: 1 / (i + o),
        "normal",
    ),
    **{
        f"{mode}, {kind}": (
            partial(variance_scaling, 0.7, mode, kind),
            lambda i, o, fan=fan: 0.7 / fan(i, o),
            kind,
        )
        for mode, fan in MODES.items()
        for kind in KINDS
    },
}
OTHERS = {
    "positive_mean": partial(nn.positive_mean, 0.5, scale=2.0),
    "flax he": jax.nn.initializers.he_normal,
    "flax glorot": jax.nn.initializers.glorot_normal,
    "flax lecun": jax.nn.initializers.lecun_normal,
}
SHAPES = {"dense": (300, 500), "convolution": (3, 5, 32, 64)}
FANS = {"dense": (300, 500), "convolution": (3 * 5 * 32, 3 * 5 * 64)}

EVERY_ONE = pytest.mark.parametrize("name", FORMULAS)
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES)


@jax.jit
def _everything(key):
    # As one program, in which each distribution is drawn once: drawing is slow to compile.
    makers = {name: make for name, (make, _, _) in FORMULAS.items()} | OTHERS
    return {
        (name, shape): make()(key, SHAPES[shape], jnp.float32)
        for name, make in makers.items()
        for shape in SHAPES
    }


@functools.cache
def everything(seed):
    return {name: np.asarray(w, float) for name, w in _everything(jax.random.key(seed)).items()}


@EVERY_ONE
@EVERY_SHAPE
def test_distribution(name, shape):
    _, variance, kind = FORMULAS[name]
    w, sigma = everything(0)[name, shape], math.sqrt(variance(*FANS[shape]))
    kurtosis, spread, largest = KINDS[kind]
    n = w.size
    # Without its correction a normal that is cut off would be 12 % narrower.
    np.testing.assert_allclose(w.std(), sigma, rtol=4 * math.sqrt((kurtosis - 1) / 4 / n))
    assert abs(w.mean()) < 4 * sigma / math.sqrt(n)
    np.testing.assert_allclose(
        np.mean(w**4) / np.mean(w**2) ** 2, kurtosis, atol=4 * spread / math.sqrt(n)
    )
    assert abs(w).max() <= largest * sigma * (1 + 1e-6)
    if kind == "normal":
        for cut, mass in ((2, 0.0455003), (3, 0.0026998)):
            assert abs(np.mean(abs(w) > cut * sigma) - mass) < 4 * math.sqrt(mass / n)
    else:
        assert abs(w).max() > largest * sigma * 0.999


@EVERY_SHAPE
@pytest.mark.parametrize("name", ["he", "glorot", "lecun"])
def test_cut_off_they_are_those_of_flax(name, shape):
    drawn = everything(0)
    np.testing.assert_allclose(
        drawn[f"{name}, cut off", shape], drawn[f"flax {name}", shape], rtol=1e-6, atol=2e-8
    )


@EVERY_SHAPE
def test_positive_mean(shape):
    w, (fan_in, _) = everything(0)["positive_mean", shape], FANS[shape]
    sigma = 2 * math.sqrt(2 / fan_in)
    assert abs(w.mean() - 0.5 / fan_in) < 4 * sigma / math.sqrt(w.size)
    np.testing.assert_allclose(w.std(), sigma, rtol=4 / math.sqrt(2 * w.size))
    around_zero = 2 * everything(0)["he_normal", shape]
    np.testing.assert_allclose(w - around_zero, 0.5 / fan_in, atol=1e-6)


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

BY_SCALE = {
    name: make
    for name, (make, _, _) in FORMULAS.items()
    if name.startswith(("he", "glorot", "lecun"))
} | {
    "initializer_for": partial(nn.initializer_for, "tanh"),
    "variance_scaling": lambda scale=1.0: variance_scaling(scale**2, "fan_in", "uniform"),
    "normal": lambda scale=1.0: nn.normal(0.02 * scale),
    "orthogonal": nn.orthogonal,
}


@functools.cache
def by_scale():
    key, scales = jax.random.key(0), jnp.array([0.0, 0.5, 1.0, 3.0])

    @jax.jit
    def run(scales):
        one = {name: make()(key, (6, 4), jnp.float32) for name, make in BY_SCALE.items()}
        half = {name: make(0.5)(key, (6, 4), jnp.float32) for name, make in BY_SCALE.items()}
        mapped = {
            name: jax.vmap(lambda scale, make=make: make(scale)(key, (6, 4), jnp.float32))(scales)
            for name, make in BY_SCALE.items()
        }
        return one, half, mapped

    return scales, *jax.device_get(run(scales))


@pytest.mark.parametrize("name", BY_SCALE)
def test_scale_multiplies_the_weights(name):
    scales, one, half, mapped = by_scale()
    np.testing.assert_allclose(half[name], 0.5 * one[name], rtol=1e-6, atol=1e-7)
    expected = np.multiply.outer(scales, one[name])
    np.testing.assert_allclose(mapped[name], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        *((FORMULAS[name][0], "scale") for name in BY_SCALE if name.startswith(("he", "gl", "le"))),
        (partial(nn.initializer_for, "selu"), "scale"),
        (nn.orthogonal, "scale"),
        (nn.positive_mean, "scale"),
        (nn.positive_mean, "mean"),
        (nn.normal, "stddev"),
        (partial(variance_scaling, mode="fan_in", distribution="normal"), "scale"),
    ],
)
def test_a_negative_scale_is_refused(make, argument):
    with pytest.raises(ValueError, match=rf"^{argument} must be in \[0, inf\), got -0.5"):
        make(**{argument: -0.5})


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match=r"mode must be one of 'fan_in', .*got 'fan'"):
        variance_scaling(1.0, "fan", "normal")
    with pytest.raises(ValueError, match=r"distribution must be one of 'normal', .*got 'gauss'"):
        variance_scaling(1.0, "fan_in", "gauss")


# What all have in common.

MAKERS = {name: make for name, (make, _, _) in FORMULAS.items()} | {
    "positive_mean": nn.positive_mean,
    "orthogonal": nn.orthogonal,
    "zeros": nn.zeros,
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


@pytest.mark.parametrize("name", MAKERS)
def test_a_shape_without_a_fan_in_is_refused(name):
    for shape in ((5,), ()):
        if not name.startswith(("normal", "zeros")):
            with pytest.raises(ValueError, match="shape must have two axes or more"):
                MAKERS[name]()(jax.random.key(0), shape)


# Those of a given size.


def test_constants(x64):
    key = jax.random.key(0)
    np.testing.assert_array_equal(nn.zeros()(key, (3, 2), jnp.float32), np.zeros((3, 2)))
    run = jax.vmap(lambda value: nn.constant(value)(key, (3,), float))
    np.testing.assert_array_equal(run(jnp.array([0.01, -2.0])), [[0.01] * 3, [-2.0] * 3])
    with pytest.raises(ValueError, match=r"value must be in .*got nan"):
        nn.constant(math.nan)


def test_what_fails_with_equal_weights():
    """Zero weights get no gradient; equal ones get equal gradients, and stay equal."""
    x, y = np.random.default_rng(0).normal(size=(2, 8, 4))

    @jax.jit
    def gradient(value):
        model = nn.MLP((5, 3, 4), activation="tanh", kernel_init=nn.constant(value))
        params = model.init(jax.random.key(1), x)["params"]
        return jax.grad(lambda p: ((model.apply({"params": p}, x) - y) ** 2).mean())(params)

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(0.0)):
        assert np.any(leaf) == (jax.tree_util.keystr(path) == "['Dense_2']['bias']")
    for layer in ("Dense_0", "Dense_1"):
        kernel = np.asarray(gradient(0.3)[layer]["kernel"])
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


# The table.


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        *((name, "glorot_uniform") for name in ("tanh", "sigmoid", "softmax")),
        *((name, "he_normal") for name in ("relu", "leaky_relu", "elu", "gelu", "gelu_tanh")),
        *((name, "he_normal") for name in ("swish", "silu", "mish")),
        ("selu", "lecun_normal"),
        (nn.relu, "he_normal"),
        (jax.nn.relu, "he_normal"),
        (jax.nn.swish, "he_normal"),
        (partial(nn.leaky_relu, negative_slope=0.2), "he_normal"),
        (nn.PReLU(), "he_normal"),
        (jax.nn.selu, "lecun_normal"),
        (nn.tanh, "glorot_uniform"),
        (jnp.tanh, "glorot_uniform"),
        (lambda x: x, "glorot_uniform"),
    ],
)
def test_lecture_m_table(activation, name):
    assert nn.initializer_for(activation).__qualname__ == f"{name}.<locals>.init"


def test_the_table_knows_every_activation():
    from jaxnn.nn.initializers.basic import _BY_ACTIVATION

    assert set(nn.ACTIVATIONS) - set(_BY_ACTIVATION) == {"identity", "linear"}
