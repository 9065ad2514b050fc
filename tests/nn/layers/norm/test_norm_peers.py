"""Axes, masks, dtypes and initializers of normalization against Flax's layers."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import distance

from jaxnn import nn as ours
from jaxnn.nn import BatchNorm

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (4, 3, 5, 6)) + 2
MASK = jax.random.bernoulli(jax.random.key(1), 0.7, X.shape)

LAYERS = {
    "LayerNorm": {"reduction_axes": (-2, -1), "feature_axes": (1, -1)},
    "RMSNorm": {"reduction_axes": (1, 2), "feature_axes": (1, 3)},
    "GroupNorm": {"num_groups": 3, "reduction_axes": (-2, -1)},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_other_axes_and_masks_as_in_flax(name, mask):
    shared = {"scale_init": nn.initializers.normal(1.0), **LAYERS[name]}
    flax = getattr(nn, name)(**shared)
    layer = getattr(ours, name)(**shared)
    variables = flax.init(KEY, X)
    np.testing.assert_array_equal(
        layer.init(KEY, X)["params"]["scale"], variables["params"]["scale"]
    )
    y = layer.apply(variables, X, mask=mask)
    assert distance(y, flax.apply(variables, X, mask=mask)) < 3e-6


@pytest.mark.slow
@pytest.mark.parametrize("axis", [-1, 1, (1, 3)], ids=str)
@pytest.mark.parametrize("mask", [None, MASK, MASK[:, :1, :1, :1]], ids=["all", "any", "rows"])
def test_batch_norm_over_other_axes_and_masks_as_in_flax(axis, mask):
    layer, flax = BatchNorm(axis=axis), nn.BatchNorm(axis=axis, use_running_average=False)
    variables = flax.init(KEY, X)
    assert jax.tree.map(jnp.shape, layer.init(KEY, X)) == jax.tree.map(jnp.shape, variables)
    y, stats = layer.apply(variables, X, train=True, mask=mask, mutable=["batch_stats"])
    z, expected = flax.apply(variables, X, mask=mask, mutable=["batch_stats"])
    there = np.broadcast_to(True if mask is None else mask, X.shape)
    assert distance(np.asarray(y)[there], np.asarray(z)[there]) < 3e-6
    for name in ("mean", "var"):
        a, b = (s["batch_stats"][name] for s in (stats, expected))
        assert distance(a, b) < 1e-6


@pytest.mark.parametrize("name", ["BatchNorm", "LayerNorm", "RMSNorm", "GroupNorm"])
def test_outputs_have_the_dtype_asked_for(name):
    more = {"num_groups": 2} if name == "GroupNorm" else {}
    layer = getattr(ours, name)(dtype=jnp.bfloat16, **more)
    y, variables = layer.init_with_output(KEY, X)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    with pytest.raises(TypeError, match="use_scale must be True or False, got 1"):
        getattr(ours, name)(use_scale=1, **more)


def test_masks_and_axes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"mask must broadcast to x.* got shape \(2, 6\)"):
        ours.LayerNorm().init(KEY, X, mask=jnp.ones((2, 6)))
    with pytest.raises(ValueError, match="axis must be different axes of x"):
        BatchNorm(axis=4).init(KEY, X)
    with pytest.raises(ValueError, match="axis must leave axes of x to normalize over"):
        variables = BatchNorm(axis=(0, 1)).init(KEY, X[0, 0])
        BatchNorm(axis=(0, 1)).apply(variables, X[0, 0], train=True, mutable=["batch_stats"])
