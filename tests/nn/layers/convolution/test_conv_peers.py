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
    x = jax.random.normal(KEY, SHAPES[axes])
    window = (3, 2, 3)[:axes]
    worst = 0.0
    for values in itertools.product(*settings.values()):
        given = dict(zip(settings, values, strict=True))
        layer = flax(6, window, **given)
        variables = layer.init(KEY, x)
        assert jax.eval_shape(ours(6, window, **given).init, KEY, x) == jax.eval_shape(
            lambda v: v, variables
        )
        y = ours(6, window, **given).apply(variables, x)
        worst = max(worst, distance(y, layer.apply(variables, x)))
    return worst


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
