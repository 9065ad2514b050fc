"""Every layer and model: gradients of parameters and inputs against central differences."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import nn

VECTORS, IMAGES = (5, 8), (3, 6, 6, 4)


class Call(linen.Module):
    """A pure function of images as a layer."""

    function: object

    @linen.compact
    def __call__(self, x, train=False):
        return self.function(x)


class Mode(linen.Module):
    """A layer that knows no `train`."""

    layer: linen.Module

    @linen.compact
    def __call__(self, x, train=False):
        return self.layer(x)


LAYERS = {
    "Conv": (Mode(nn.Conv(3, 3)), IMAGES),
    "Conv, strides": (Mode(nn.Conv(3, (3, 2), strides=2, padding=1)), IMAGES),
    "Conv, dilation": (Mode(nn.Conv(3, 2, kernel_dilation=2)), IMAGES),
    "Conv, groups": (Mode(nn.Conv(4, 3, feature_group_count=2)), IMAGES),
    "Conv, many channels": (Mode(nn.Conv(20, 3)), (4, 6, 6, 3)),
    "max_pool": (Call(partial(nn.max_pool, window_shape=2, strides=2)), IMAGES),
    "max_pool, overlapping": (Call(partial(nn.max_pool, window_shape=3, strides=1)), IMAGES),
    "avg_pool": (Call(partial(nn.avg_pool, window_shape=2, strides=2)), IMAGES),
    "global_avg_pool": (Call(nn.global_avg_pool), IMAGES),
    "StochasticPool": (nn.StochasticPool(2, strides=2), IMAGES),
    "PReLU": (Mode(nn.PReLU()), VECTORS),
    "Maxout": (Mode(nn.Maxout(4)), VECTORS),
    "Dropout": (nn.Dropout(0.4), VECTORS),
    "DropConnect": (nn.DropConnect(4, rate=0.4), VECTORS),
    "BatchNorm": (nn.BatchNorm(), IMAGES),
    "LayerNorm": (Mode(nn.LayerNorm()), IMAGES),
    "GroupNorm": (Mode(nn.GroupNorm(num_groups=2)), IMAGES),
    "LogisticRegression": (Mode(nn.LogisticRegression(3)), VECTORS),
    "MLP": (nn.MLP((7, 3), activation="gelu", dropout_rate=0.3, normalization="batch"), VECTORS),
    "ConvNet": (
        nn.ConvNet(3, channels=(4,), hidden=(5,), dropout_rate=0.3, normalization="layer"),
        IMAGES,
    ),
    "ResNet": (nn.ResNet(3, depth=8), (4, 8, 8, 3)),
}


SLOW = ("ConvNet", "ResNet")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in LAYERS]
)
def test_against_central_differences(name, x64):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    # Positive as what a ReLU hands on, which stochastic pooling wants.
    x = jnp.asarray(0.1 + rng.uniform(size=shape))
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1), "pooling": jax.random.key(2)}
    variables = dict(layer.init(rngs, x))
    params, rest = variables.pop("params", {}), variables

    @jax.jit
    def loss(params, x):
        y, _ = layer.apply(
            {"params": params, **rest}, x, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return jnp.sum(jnp.sin(3 * y))

    way = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), (params, x))

    def moved(h):
        return loss(*jax.tree.map(lambda leaf, step: leaf + h * step, (params, x), way))

    gradients = jax.jit(jax.grad(loss, (0, 1)))(params, x)
    found = sum(map(jnp.vdot, jax.tree.leaves(gradients), jax.tree.leaves(way)))
    h = 1e-6
    np.testing.assert_allclose(found, (moved(h) - moved(-h)) / (2 * h), rtol=1e-6, atol=1e-7)
    assert abs(found) > 1e-3
