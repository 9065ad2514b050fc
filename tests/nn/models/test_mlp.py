"""The MLP: what it is made of, that None draws nothing, and its gradients."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn import MLP, activation, he_normal

KEYS = {"dropout": jax.random.key(2)}


def init(model, features):
    return jax.jit(model.init)(jax.random.key(0), jnp.ones((1, features)))["params"]


def test_shapes_and_biases_at_zero():
    params = init(MLP((7, 5, 3)), 4)
    shapes = jax.tree.map(jnp.shape, params)
    assert shapes == {
        "Dense_0": {"bias": (7,), "kernel": (4, 7)},
        "Dense_1": {"bias": (5,), "kernel": (7, 5)},
        "Dense_2": {"bias": (3,), "kernel": (5, 3)},
    }
    for layer in params.values():
        np.testing.assert_array_equal(layer["bias"], np.zeros_like(layer["bias"]))


def test_one_width_is_a_linear_model():
    params = init(MLP((3,), dropout_rate=0.5), 4)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    y = MLP((3,), dropout_rate=0.5).apply({"params": params}, x, train=True)  # nothing to drop
    np.testing.assert_allclose(y, x @ params["Dense_0"]["kernel"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("phi", ["relu", "tanh", jax.nn.relu, jnp.tanh, jax.nn.silu])
def test_initial_weights_suit_the_activation(phi):
    """He for ReLU and SiLU: variance 2/500 and tails. Glorot else and at the end: bounded."""
    params = init(MLP((400, 300), activation=phi), 500)
    first, last = (np.asarray(params[f"Dense_{i}"]["kernel"]) for i in (0, 1))
    glorot = lambda fan_in, fan_out: np.sqrt(6 / (fan_in + fan_out))  # noqa: E731
    if phi not in ("tanh", jnp.tanh):
        np.testing.assert_allclose(first.std(), np.sqrt(2 / 500), rtol=0.01)
        assert abs(first).max() > 3.5 * np.sqrt(2 / 500)
    else:
        np.testing.assert_allclose(first.std(), glorot(500, 400) / np.sqrt(3), rtol=0.01)
        assert abs(first).max() <= glorot(500, 400)
    np.testing.assert_allclose(last.std(), glorot(400, 300) / np.sqrt(3), rtol=0.01)
    assert abs(last).max() <= glorot(400, 300)


def test_an_own_initializer_is_used_for_every_kernel():
    params = init(MLP((4, 4, 4), activation="tanh", kernel_init=he_normal()), 4)
    ones = init(MLP((4, 4), kernel_init=nn.initializers.ones), 4)
    assert all((np.asarray(layer["kernel"]) == 1).all() for layer in ones.values())
    kernels = [np.asarray(layer["kernel"]) for layer in params.values()]
    assert not np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])


def test_none_draws_nothing():
    x, model = jnp.ones((4, 6)), MLP((5, 3), dropout_rate=None)
    params = {"params": init(model, 6)}
    np.testing.assert_array_equal(model.apply(params, x, train=True), model.apply(params, x))

    def program(rate):
        model = MLP((5, 3), dropout_rate=rate)
        return str(jax.make_jaxpr(lambda p: model.apply(p, x, train=True, rngs=KEYS))(params))

    assert "uniform_bits" not in program(None)
    assert "uniform_bits" in program(0.0)


def test_dropout_keeps_out_of_the_parameters():
    """So a checkpoint of the one loads into the other."""
    a, b = init(MLP((5, 3), dropout_rate=0.5), 6), init(MLP((5, 3)), 6)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_each_layer_has_a_mask_of_its_own():
    """Biases of 1 and kernels of 0: the units of both hidden layers are 1 before the masks."""
    model = MLP((50, 50, 1), dropout_rate=0.5)
    params = jax.tree_util.tree_map_with_path(
        lambda path, p: jnp.full_like(p, "bias" in str(path)), init(model, 3)
    )
    _, captured = model.apply(
        {"params": params},
        jnp.ones((20, 3)),
        train=True,
        rngs=KEYS,
        capture_intermediates=lambda module, _: "Dropout" in type(module).__name__,
    )
    first, second = (np.asarray(x) for x in jax.tree.leaves(captured["intermediates"]))
    assert set(np.unique(first)) == set(np.unique(second)) == {0.0, 2.0}
    agreement = np.mean(first == second)  # of 1000 fair coins
    assert abs(agreement - 0.5) < 4 * np.sqrt(0.25 / 1000)


def test_activation_may_be_any_function():
    x = jnp.linspace(-2, 2, 12).reshape(3, 4)
    model = MLP((5, 2), activation=jnp.sin)
    params = init(model, 4)
    hidden = np.sin(np.asarray(x) @ params["Dense_0"]["kernel"])
    np.testing.assert_allclose(
        model.apply({"params": params}, x), hidden @ params["Dense_1"]["kernel"], atol=1e-5
    )
    assert activation(jnp.sin) is jnp.sin
