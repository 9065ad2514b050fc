"""Convolutions of every form against Flax's layers, from the same parameters."""

from __future__ import annotations

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import distance

from jaxnn.nn import Conv, ConvTranspose, conv, conv_transpose, summary

KEY = jax.random.key(0)
SHAPES = {1: (2, 9, 6), 2: (2, 7, 6, 6), 3: (2, 4, 5, 4, 6)}
EVERY_NUMBER_OF_AXES = pytest.mark.parametrize("axes", SHAPES)


def both(ours, flax, axes, settings):
    """The worst distance of outputs over all settings."""
    x, rng = jax.random.normal(KEY, SHAPES[axes]), np.random.default_rng(0)
    window = (3, 2, 3)[:axes]
    pairs, variables = [], []
    for values in itertools.product(*settings.values()):
        given = dict(zip(settings, values, strict=True))
        pairs.append([layer(6, window, **given) for layer in (ours, flax)])
        shapes, theirs = (jax.eval_shape(layer.init, KEY, x) for layer in pairs[-1])
        assert shapes == theirs
        variables.append(jax.tree.map(lambda s: rng.normal(size=s.shape).astype(s.dtype), shapes))

    @jax.jit
    def outputs(variables, x):
        given = zip(pairs, variables, strict=True)
        return [[layer.apply(v, x) for layer in pair] for pair, v in given]

    return max(distance(*pair) for pair in outputs(variables, x))


@EVERY_NUMBER_OF_AXES
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_convolution(axes, groups):
    paddings = ["SAME", "CIRCULAR", "REFLECT", [(0, 2)] * axes, *(["CAUSAL"] if axes == 1 else [])]
    settings = {
        "strides": [2],
        "padding": paddings,
        "kernel_dilation": [2 if axes < 3 else 1],
        "feature_group_count": [groups],
    }
    assert both(Conv, nn.Conv, axes, settings) < 1e-6


@EVERY_NUMBER_OF_AXES
def test_transposed_convolution(axes):
    settings = {
        # 4 is further than the window reaches.
        "strides": [(stride,) * axes for stride in (2, 4)],
        "padding": ["SAME", "VALID", "CIRCULAR", [(0, 5)] * axes],
        "transpose_kernel": [False, True],
    }
    assert both(ConvTranspose, nn.ConvTranspose, axes, settings) < 1e-6


@EVERY_NUMBER_OF_AXES
def test_with_the_same_kernel_the_one_is_the_transpose_of_the_other(axes, x64):
    rng = np.random.default_rng(0)
    sizes = (6, 8, 4)[:axes]
    x, kernel = rng.normal(size=(2, *sizes, 3)), rng.normal(size=(*(2, 4, 2)[:axes], 3, 5))
    y = conv(x, kernel, strides=2)
    z = rng.normal(size=y.shape)
    back = conv_transpose(z, kernel, strides=2, transpose_kernel=True)
    np.testing.assert_allclose(np.vdot(y, z), np.vdot(x, back), rtol=1e-12)


@pytest.mark.parametrize("layer", [Conv(6, (3,), feature_group_count=3), ConvTranspose(4, (3,))])
def test_in_a_loop_and_under_vmap_over_kernels(layer):
    x = jax.random.normal(KEY, (2, 8, 3))
    members = jax.vmap(lambda key: layer.init(key, x))(jax.random.split(KEY, 2))

    def slope(variables):
        return jax.grad(lambda v: jnp.square(layer.apply(v, x)).sum())(variables)

    together = jax.jit(jax.vmap(slope))(members)
    for i in range(2):
        alone = slope(jax.tree.map(lambda leaf: leaf[i], members))  # noqa: B023
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            assert distance(a[i], b) < 1e-6


def test_operations_are_counted_whatever_computes_them():
    x = jnp.ones((1, 8, 8, 6))
    counted = {
        "plain": (Conv(4, (3, 3)), 64 * 9 * 6 * 4),
        "depthwise": (Conv(12, (3, 3), feature_group_count=6), 64 * 9 * 12),
        "transposed": (ConvTranspose(4, (3, 3), strides=2), 64 * 9 * 6 * 4),
    }
    for layer, operations in counted.values():
        assert summary(layer, x).operations == operations
