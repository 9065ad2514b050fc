"""Activations against their formulas, and their gradients against central differences."""

from __future__ import annotations

import functools
import inspect
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from activation_table import ELEMENTWISE, KNOBS, OF_SEVERAL
from closeness import assert_leaves_close
from golden import cases, look_up, peer, ratio
from layer_formulas import sigmoid

from jaxnn import nn
from jaxnn.nn import ACTIVATIONS, activation
from jaxnn.nn.activations.table import activation_name

EVERY_ONE = pytest.mark.parametrize("name", ELEMENTWISE)
DTYPES = ("float32", "bfloat16", "float16")

# No kink among them, and the largest are near the end of float16.
POINTS = np.concatenate([np.geomspace(0.0137, 6e4, 49), [0.5, 5.5, 20.25]])
POINTS = np.concatenate([-POINTS, POINTS])


@functools.cache
def values_and_slopes(dtype):
    """Of every activation at POINTS, as one program."""

    @jax.jit
    def all_of_them(x):
        slope = lambda f: jax.grad(lambda x: f(x).sum())(x)  # noqa: E731
        return {name: (f(x), slope(f)) for name, f in ACTIVATIONS.items() if name in ELEMENTWISE}

    return all_of_them(jnp.asarray(POINTS, dtype))


def numpy_slope(name, x):
    f, kinks = ELEMENTWISE[name]
    h = 1e-6 * np.maximum(1, np.abs(x))
    assert all((np.abs(x - kink) > h).all() for kink in kinks)
    return (f(x + h) - f(x - h)) / (2 * h)


def test_every_activation_is_in_the_table():
    assert {*ELEMENTWISE, *OF_SEVERAL} == set(ACTIVATIONS)


@EVERY_ONE
def test_formula_and_slope(name, x64):
    value, slope = values_and_slopes("float64")[name]
    np.testing.assert_allclose(value, ELEMENTWISE[name][0](POINTS), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slope, numpy_slope(name, POINTS), rtol=1e-8, atol=2e-9)


@EVERY_ONE
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_and_large_inputs_stay_right(name, dtype):
    value, slope = values_and_slopes(dtype)[name]
    assert value.dtype == slope.dtype == dtype
    x = np.asarray(jnp.asarray(POINTS, dtype), np.float64)
    # A slope such as Mish's has x(1 − tanh²) in it, and the rounding of tanh times x.
    epsilon = (32 if dtype == "float32" else 8) * float(jnp.finfo(dtype).eps)
    for actual, expected in ((value, ELEMENTWISE[name][0](x)), (slope, numpy_slope(name, x))):
        np.testing.assert_allclose(np.asarray(actual, float), expected, epsilon, epsilon)


@pytest.mark.slow
class TestVariants(chex.TestCase):
    @chex.variants(
        with_jit=True, without_jit=True, with_device=True, without_device=True, with_pmap=True
    )
    def test_every_activation(self):
        x = np.linspace(-4, 4, 24, dtype=np.float32).reshape(4, 6)
        outputs = self.variant(lambda x: {name: f(x) for name, f in ACTIVATIONS.items()})(x)
        formulas = {name: formula for name, (formula, _) in ELEMENTWISE.items()} | OF_SEVERAL
        expected = {name: formula(x.astype(float)) for name, formula in formulas.items()}
        assert_leaves_close(outputs, expected, 1e-6)


def test_float32_far_beyond_float16():
    x = jnp.array([-3e38, -1e20, 1e20, 3e38])
    names = ("gelu", "gelu_tanh", "silu", "mish", "softplus", "elu")
    total = jax.jit(jax.grad(lambda x: sum(ACTIVATIONS[name](x).sum() for name in names)))
    np.testing.assert_array_equal(total(x), [0, 0, len(names), len(names)])


def test_relu_and_leaky_relu_at_0():
    assert float(jax.grad(nn.relu)(0.0)) == 0
    assert float(jax.grad(nn.leaky_relu)(0.0, 0.25)) == 0.25
    assert float(jax.grad(nn.leaky_relu)(0.0, 0.0)) == 0


# The knobs: slopes and α.


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_is_an_axis_of_vmap(name, x64):
    row, x, h = KNOBS[name], np.linspace(-4, 4, 40), 1e-6
    f, knob, formula, values = row.function, row.name, row.formula, np.array(row.axis)
    run = jax.jit(jax.vmap(lambda v: jax.jvp(lambda v: f(x, **{knob: v}), (v,), (1.0,))))
    actual, derivative = run(jnp.asarray(values))
    expected = np.array([formula(x, v) for v in values])
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)
    difference = [(formula(x, v + h) - formula(x, v - h)) / (2 * h) for v in values]
    np.testing.assert_allclose(derivative, difference, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(f(x, **{knob: float(values[1])}), expected[1], 1e-12, 1e-14)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_takes_the_dtype_of_what_it_meets(name):
    f, knob = KNOBS[name].function, KNOBS[name].name
    for value in (0.5, np.float64(0.5), jnp.float32(0.5)):
        run = lambda x, value=value: f(x, **{knob: value})  # noqa: E731
        assert jax.eval_shape(run, jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_a_slope_is_not_rounded_to_an_integer():
    np.testing.assert_allclose(nn.leaky_relu(jnp.array([-2, 3]), 0.25), [-0.5, 3])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", KNOBS)
def test_a_concrete_knob_that_is_no_number_is_refused(name, bad):
    f, knob = KNOBS[name].function, KNOBS[name].name
    with pytest.raises(ValueError, match=rf"{knob} must be in \(.*, got {bad}"):
        f(jnp.ones(2), **{knob: bad})


# Softmax and its logarithm.


@pytest.mark.parametrize("axis", [0, -1])
def test_softmax_along_any_axis(axis, x64):
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 4, 3, 5)) * 3
    p = OF_SEVERAL["softmax"](x, axis)
    slope = p * (v - (p * v).sum(axis, keepdims=True))
    both = jax.jit(lambda x: (nn.softmax(x, axis=axis), nn.log_softmax(x, axis=axis)))
    values, slopes = jax.jvp(both, (jnp.asarray(x),), (jnp.asarray(v),))
    for actual, value, derivative in (
        ((values[0], slopes[0]), p, slope),
        ((values[1], slopes[1]), np.log(p), slope / p),
    ):
        np.testing.assert_allclose(actual[0], value, rtol=1e-12)
        np.testing.assert_allclose(actual[1], derivative, rtol=1e-9, atol=1e-12)


def test_softmax_of_large_scores():
    x = jnp.asarray([-3e4, 0.0, 3e4], "float16")
    p, log_p = jax.jit(lambda x: (nn.softmax(x), nn.log_softmax(x)))(x)
    assert p.dtype == log_p.dtype == "float16"
    np.testing.assert_array_equal(np.asarray(p, float), [0, 0, 1])
    np.testing.assert_array_equal(np.asarray(log_p, float), np.asarray(x - x[2], float))
    slope = jax.jit(jax.grad(lambda x: nn.log_softmax(x)[0]))(x)
    np.testing.assert_array_equal(np.asarray(slope, float), [1, 0, -1])


def test_glu_along_another_axis(x64):
    x = np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_allclose(nn.glu(x, axis=0), x[:2] * sigmoid(x[2:]), rtol=1e-12)


# The table.


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"activation must be one of 'relu'.*got 'Relu'"):
        activation("Relu")


def test_names():
    for name, function in ACTIVATIONS.items():
        assert activation(name) is function
    assert activation(math.sin) is math.sin
    assert activation_name(jax.nn.swish) == activation_name(nn.swish) == "silu"
    assert activation_name(functools.partial(nn.elu, alpha=2.0)) == "elu"
    assert activation_name(nn.PReLU()) == "PReLU"


# Golden numbers. Peers' names for what we have, and what they mean where they do not say.

NAMES = {
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "hardsilu": "hard_silu",
    "hardtanh": "hard_tanh",
    "leakyrelu": "leaky_relu",
    "logsigmoid": "log_sigmoid",
    "logsoftmax": "log_softmax",
    "softsign": "soft_sign",
    "gelu_new": "gelu_tanh",
    "gelu_exact": "gelu",
    "gelu_alpha": "gelu",
}
SETTINGS = {"slope": "negative_slope", "dim": "axis", "a": "alpha"}
DEFAULTS = {
    ("keras", "leaky_relu"): {"negative_slope": 0.2},
    ("keras", "gelu"): {"approximate": True},
    ("flax", "gelu"): {"approximate": True},
}
FUNCTIONS = {**ACTIVATIONS, "glu": nn.glu}


def prelu(x, negative_slope):
    module = nn.PReLU(per_channel=np.ndim(negative_slope) > 0, param_dtype=jnp.result_type(x))
    return module.apply({"params": {"negative_slope": jnp.asarray(negative_slope)}}, x)


@cases("activation")
def test_golden(case, x64):
    name, _, derivative = case["name"].partition("_vjp")
    name = NAMES.get(name, name)
    assert not derivative
    f = prelu if name == "prelu" else look_up(FUNCTIONS, name, case, "activation")
    settings = {SETTINGS.get(key, key): value for key, value in case["settings"].items()}
    settings = {**DEFAULTS.get((peer(case), name), {}), **settings}
    cotangent = settings.pop("cotangent", None)
    taken = {key: key for key in inspect.signature(f).parameters}
    for key in settings:
        look_up(taken, key, case, "setting")
    x, v = np.asarray(case["inputs"]["x"], float), np.asarray(cotangent, float)
    if cotangent is None:
        actual = jax.jit(lambda x: f(x, **settings))(x)
    else:
        actual = jax.jit(jax.grad(lambda x: (v * f(x, **settings)).sum()))(x)
    assert ratio(actual, case) <= 1
