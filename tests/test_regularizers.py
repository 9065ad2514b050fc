"""Penalties: values and gradients, what they are of, and their strengths as axes of vmap."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close

from jaxnn import regularizers
from jaxnn.regularizers import l2

KERNEL, CONV, BIAS, SCALE = (
    np.random.default_rng(0).normal(size=shape) for shape in [(5, 3), (2, 2, 3, 4), (3,), (4,)]
)
PARAMS = {"Dense_0": {"bias": BIAS, "kernel": KERNEL}, "Conv_0": {"kernel": CONV, "scale": SCALE}}


def squares(*leaves):
    return sum(np.sum(leaf**2) for leaf in leaves)


@pytest.mark.parametrize(
    ("mask", "counted"),
    [
        ({}, [KERNEL, CONV]),  # biases and scales are left out
        ({"mask": "all"}, [KERNEL, CONV, BIAS, SCALE]),
        ({"mask": "Dense"}, [KERNEL, BIAS]),
        ({"mask": re.compile("scale$")}, [SCALE]),
        ({"mask": lambda path, leaf: leaf.ndim == 4}, [CONV]),
        ({"mask": "nothing has this name"}, []),
    ],
    ids=["weights", "all", "regex", "compiled", "function", "none"],
)
def test_value_is_half_the_strength_times_the_squares(mask, counted, x64):
    params = jax.tree.map(jnp.asarray, PARAMS)
    penalty = jax.jit(l2(0.3, **mask))(params)
    assert penalty.shape == () and penalty.dtype == np.float64
    np.testing.assert_allclose(penalty, 0.5 * 0.3 * squares(*counted), rtol=1e-14)


def test_gradient_is_the_strength_times_the_weights(x64):
    params = jax.tree.map(jnp.asarray, PARAMS)
    gradient = jax.grad(l2(0.3))(params)
    assert_leaves_close(gradient["Dense_0"]["kernel"], 0.3 * KERNEL, 1e-15)
    assert_leaves_close(gradient["Conv_0"]["kernel"], 0.3 * CONV, 1e-15)
    for left_out in (gradient["Dense_0"]["bias"], gradient["Conv_0"]["scale"]):
        np.testing.assert_array_equal(left_out, np.zeros_like(left_out))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_neither_overflows_nor_stalls(dtype):
    """The sum of 90000 ones is above float16's largest number."""
    params = {"kernel": jnp.ones((300, 300), dtype)}
    np.testing.assert_allclose(l2(1.0)(params), 45_000, rtol=1e-5)
    gradient = jax.grad(l2(0.5))(params)["kernel"]
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(np.asarray(gradient, np.float32), 0.5)


def test_a_traced_strength_is_not_looked_at():
    params = {"kernel": jnp.ones((2, 2))}
    assert float(jax.jit(lambda s: l2(s)(params))(-1.0)) == -2.0


def test_a_bad_mask_is_refused():
    with pytest.raises(TypeError, match="mask must be"):
        l2(0.1, mask=3)({"kernel": jnp.ones((2, 2))})


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_l1_is_the_sum_of_absolutes_and_its_gradient_the_sign(strength):
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(4, 3)).astype(np.float32)
    kernel[0, 0] = 0.0
    params = {"kernel": kernel, "bias": np.ones(3, np.float32)}
    value, grads = jax.value_and_grad(regularizers.l1(strength))(params)
    np.testing.assert_allclose(value, strength * np.abs(kernel.astype(float)).sum(), rtol=1e-6)
    np.testing.assert_allclose(grads["kernel"], strength * np.sign(kernel), rtol=1e-6)
    np.testing.assert_array_equal(grads["bias"], 0)


def test_elastic_net_is_as_lecture_n_writes_it():
    rng = np.random.default_rng(2)
    params = {"kernel": rng.normal(size=(4, 3)).astype(np.float32)}
    w = params["kernel"].astype(float)
    expected = 0.2 * np.abs(w).sum() + 0.7 * (w**2).sum()
    np.testing.assert_allclose(regularizers.elastic(0.2, 0.7)(params), expected, rtol=1e-6)
    for strength in (0.0, 0.4):
        np.testing.assert_allclose(
            regularizers.elastic(0, strength)(params), regularizers.l2(2 * strength)(params)
        )


@pytest.mark.parametrize("penalty", [regularizers.l1, regularizers.l2])
def test_a_strength_for_each_layer(penalty):
    params = {
        name: {"kernel": jnp.full((2, 2), value), "bias": jnp.ones(2)}
        for name, value in (("Dense_0", 1.0), ("Dense_1", 2.0), ("Dense_2", 3.0))
    }
    layered = regularizers.per_layer(penalty, {"Dense_0": 0.1, "Dense_2": 0.5})
    alone = [penalty(s)({name: params[name]}) for name, s in (("Dense_0", 0.1), ("Dense_2", 0.5))]
    np.testing.assert_allclose(layered(params), sum(alone), rtol=1e-6)
    assert not jax.tree.reduce(
        lambda found, leaf: found | bool(leaf.any()), jax.grad(layered)(params)["Dense_1"], False
    )
    with pytest.raises(ValueError, match="strengths must name parameters, got none for 'Dense_7'"):
        regularizers.per_layer(penalty, {"Dense_7": 0.1})(params)


BUILT = pytest.mark.parametrize(
    ("build", "name"),
    [
        (regularizers.l1, "l1 strength"),
        (regularizers.l2, "l2 strength"),
        (lambda s: regularizers.elastic(s, 0.1), "elastic l1"),
        (lambda s: regularizers.elastic(0.1, s), "elastic l2"),
        (lambda s: regularizers.per_layer(regularizers.l2, {"a": s}), "l2 strength"),
    ],
    ids=["l1", "l2", "elastic l1", "elastic l2", "per layer"],
)


@BUILT
def test_a_strength_that_a_parameter_cannot_hold_is_refused(build, name):
    """In float16 1e-8 is 0; a traced strength passes, as do leaves that are not penalized."""
    params = {"a": {"kernel": jnp.ones((2, 2), "float16"), "bias": jnp.ones(2)}}
    for bad in (1e-8, 1e5):
        with pytest.raises(ValueError, match=r"must be 0 or in .* for the float16 of a/kernel"):
            build(bad)(params)
    jax.jit(lambda strength: build(strength)(params))(1e-8)
    build(1e-8)({"a": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2, "float16")}})


@BUILT
def test_a_concrete_strength_below_0_is_refused_by_name(build, name):
    """That each strength is an axis of `vmap` is in tests/optim/test_knobs_count.py."""
    for bad in (-1e-9, np.nan, np.float32(-1)):
        with pytest.raises(ValueError, match=rf"^{name} must be in \[0, inf\), got {bad}$"):
            build(bad)
