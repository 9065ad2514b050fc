"""PReLU and maxout against their formulas."""

from __future__ import annotations

import math

import flax.linen as flax_nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxnn import nn
from jaxnn.tree import mask_tree

X = np.random.default_rng(0).normal(size=(7, 4))
KEY = jax.random.key(0)


def test_prelu_is_piecewise(x64):
    def run(slope):
        value, pull = jax.vjp(lambda p, x: nn.PReLU().apply({"params": p}, x), params(slope), X)
        return value, pull(jnp.asarray(2 * X))

    def params(slope):
        return {"negative_slope": slope}

    slopes = np.array([-1.0, 0.0, 0.25, 1.0, 3.0])
    values, (by_slope, by_x) = jax.jit(jax.vmap(run))(slopes)
    for i, a in enumerate(slopes):
        below = X <= 0
        # At a slope of 3 the lecture's max(αx, x) would be something else.
        np.testing.assert_allclose(values[i], np.where(below, a * X, X), rtol=1e-12)
        np.testing.assert_allclose(by_x[i], np.where(below, a, 1) * 2 * X, rtol=1e-12)
        np.testing.assert_allclose(by_slope["negative_slope"][i], (2 * X * X)[below].sum())


def test_prelu_per_channel(x64):
    layer = nn.PReLU(per_channel=True, negative_slope_init=0.1)
    variables = layer.init(KEY, X)
    np.testing.assert_array_equal(variables["params"]["negative_slope"], [0.1] * 4)
    slopes = np.array([0.0, 0.5, 1.0, 2.0])
    x = X.reshape(7, 1, 2, 2).repeat(2, axis=-1)  # images with four channels
    actual = layer.apply({"params": {"negative_slope": slopes}}, x)
    np.testing.assert_allclose(actual, np.where(x > 0, x, slopes[None, None, None] * x))


def test_prelu_has_flax_parameter_and_no_weight_decay():
    x = jnp.asarray(X)
    ours, theirs = (
        layer(negative_slope_init=0.3).init(KEY, x) for layer in (nn.PReLU, flax_nn.PReLU)
    )
    jax.tree.map(np.testing.assert_array_equal, ours, dict(theirs))
    np.testing.assert_allclose(nn.PReLU().apply(theirs, x), flax_nn.PReLU().apply(ours, x))
    for layer in (nn.PReLU(), nn.PReLU(per_channel=True)):
        params = layer.init(KEY, X)["params"]
        assert not any(jax.tree.leaves(mask_tree("weights_only", params)))
        assert np.all(params["negative_slope"] == 0.25)


def test_prelu_as_the_activation_of_a_model():
    model = nn.MLP((5, 5, 3), activation=nn.PReLU())
    params = jax.eval_shape(model.init, KEY, X)["params"]
    assert sum(leaf.shape == () for leaf in jax.tree.leaves(params)) == 1


def test_maxout_makes_relu_of_two_maps(x64):
    kernel = np.zeros((4, 4, 2))
    kernel[:, :, 1] = np.eye(4)
    params = {"Dense_0": {"kernel": kernel.reshape(4, 8), "bias": np.zeros(8)}}
    np.testing.assert_array_equal(nn.Maxout(4).apply({"params": params}, X), np.maximum(0, X))


def test_maxout_keeps_the_mean_square_through_layers():
    @jax.jit
    def through(key, x):
        for layer in range(6):
            x, _ = nn.Maxout(256).init_with_output(jax.random.fold_in(key, layer), x)
        return jnp.mean(x**2)

    x = np.random.default_rng(0).normal(size=(64, 256))
    assert abs(math.log(float(through(KEY, x)))) < 0.3  # Glorot's would be 6·log(2/3)
