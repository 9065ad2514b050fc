"""The models: what they are made of, their outputs in NumPy, and that every argument counts."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn import (
    MLP,
    BatchNorm,
    ConvNet,
    GroupNorm,
    LogisticRegression,
    ResNet,
    constant,
    max_pool,
    summary,
)

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)


def params_of(model, x):
    return jax.jit(model.init)(KEY, x)["params"]


def test_logistic_regression_is_one_linear_map():
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    params = params_of(LogisticRegression(3), x)
    y = LogisticRegression(3).apply({"params": params}, x)
    layer = params["Dense_0"]
    np.testing.assert_allclose(y, x @ layer["kernel"] + layer["bias"][None], rtol=1e-5, atol=1e-6)


def test_convnet_layer_by_layer():
    model = ConvNet(3, channels=(4, (5, 6)), hidden=(7,), activation="tanh")
    params = params_of(model, IMAGES)
    assert jax.tree.map(jnp.shape, params) == {
        "Conv_0": {"bias": (4,), "kernel": (3, 3, 1, 4)},
        "Conv_1": {"bias": (5,), "kernel": (3, 3, 4, 5)},
        "Conv_2": {"bias": (6,), "kernel": (3, 3, 5, 6)},
        "Dense_0": {"bias": (7,), "kernel": (24, 7)},
        "Dense_1": {"bias": (3,), "kernel": (7, 3)},
    }
    conv = lambda i, x: nn.Conv(params[f"Conv_{i}"]["bias"].size, (3, 3)).apply(  # noqa: E731
        {"params": params[f"Conv_{i}"]}, x
    )
    dense = lambda i, x: x @ params[f"Dense_{i}"]["kernel"] + params[f"Dense_{i}"]["bias"][None]  # noqa: E731
    x = max_pool(jnp.tanh(conv(0, IMAGES)), 2, 2)
    x = max_pool(jnp.tanh(conv(2, jnp.tanh(conv(1, x)))), 2, 2)
    expected = dense(1, jnp.tanh(dense(0, x.reshape(4, -1))))
    np.testing.assert_allclose(
        model.apply({"params": params}, IMAGES), expected, rtol=1e-5, atol=1e-5
    )
    flat = ConvNet(3, channels=(4, (5, 6)), hidden=(7,), activation="tanh", image_shape=(8, 8, 1))
    np.testing.assert_array_equal(
        flat.apply({"params": params}, IMAGES.reshape(4, 64)),
        model.apply({"params": params}, IMAGES),
    )


# Depth: parameters and multiply-adds, as He et al. state or their layers add up to.
RESNETS = [
    (20, 10, (32, 32, 3), 269_722, 40_551_040),
    (32, 10, (32, 32, 3), 464_154, 68_862_592),
    (56, 10, (32, 32, 3), 853_018, 125_485_696),
    (18, 1000, (224, 224, 3), 11_689_512, 1_814_073_344),
]


@pytest.mark.parametrize(("depth", "classes", "shape", "parameters", "operations"), RESNETS)
def test_resnet_has_the_published_size(depth, classes, shape, parameters, operations):
    table = summary(ResNet(classes, depth=depth), jnp.zeros((1, *shape)))
    assert (table.parameters, table.operations) == (parameters, operations)


def test_a_residual_block_adds_its_input():
    """With the second convolution of every block at 0, the blocks are the shortcuts."""
    model = ResNet(3, depth=8, width=2, normalization=None)
    params = params_of(model, IMAGES)
    still = {
        name: jax.tree.map(jnp.zeros_like, layer)
        if name in ("Conv_2", "Conv_4", "Conv_6")
        else layer
        for name, layer in params.items()
    }
    x = jax.nn.relu(nn.Conv(2, (3, 3)).apply({"params": params["Conv_0"]}, IMAGES))
    for width in (4, 8):
        x = jnp.pad(x[:, ::2, ::2], ((0, 0),) * 3 + ((0, width - x.shape[-1]),))
    last = params["Dense_0"]
    expected = x.mean((1, 2)) @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(
        model.apply({"params": still}, IMAGES), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "make",
    [
        partial(MLP, (6, 3)),
        partial(ConvNet, 3, channels=(4,), hidden=(6,)),
        partial(ResNet, 3, depth=8, width=4),
    ],
    ids=["mlp", "convnet", "resnet"],
)
@pytest.mark.parametrize("normalization", ["batch", "layer", partial(GroupNorm, num_groups=2)])
def test_normalization_before_and_behind_the_activation(make, normalization):
    x = IMAGES if make.func is not MLP else IMAGES[:, 0, :, 0]
    outputs = []
    for after in (False, True):
        model = make(normalization=normalization, normalize_after=after)
        variables = jax.jit(model.init)(KEY, x)
        weight = jnp.asarray([1.0, 1, 1, 0])
        y, updated = jax.jit(
            lambda v, x, model=model, weight=weight: model.apply(
                v, x, train=True, weight=weight, mutable=["batch_stats"]
            )
        )(variables, x)
        garbage, again = model.apply(
            variables,
            np.concatenate([x[:3], 99 + 0 * x[3:]]),
            train=True,
            weight=weight,
            mutable=["batch_stats"],
        )
        np.testing.assert_allclose(y[:3], garbage[:3], rtol=1e-4, atol=1e-5)
        for a, b in zip(jax.tree.leaves(updated), jax.tree.leaves(again), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        outputs.append(np.asarray(y))
    assert not np.allclose(*outputs)


def test_every_dropout_rate_is_an_axis_of_vmap():
    model = lambda a, b: ConvNet(  # noqa: E731
        3, channels=(4,), hidden=(6,), conv_dropout_rate=a, dropout_rate=b
    )
    params = {"params": params_of(model(None, None), IMAGES)}
    run = lambda a, b: model(a, b).apply(params, IMAGES, train=True, rngs={"dropout": KEY})  # noqa: E731
    rates = jnp.asarray([0.0, 0.3, 0.6])
    both = jax.jit(jax.vmap(run))(rates, rates[::-1])
    for i in range(3):
        np.testing.assert_allclose(both[i], run(rates[i], rates[2 - i]), rtol=1e-5, atol=1e-6)
    plain = model(None, None).apply(params, IMAGES)
    assert not np.allclose(run(0.3, 0.0), plain) and not np.allclose(run(0.0, 0.3), plain)
    inputs = MLP((3,), input_dropout_rate=0.5)
    x = jnp.ones((4, 6))
    params = {"params": params_of(inputs, x)}
    dropped = inputs.apply(params, x, train=True, rngs={"dropout": KEY})
    assert not np.allclose(dropped, inputs.apply(params, x))


def test_initial_biases_and_kernels_are_those_asked_for():
    model = ConvNet(3, channels=(4,), hidden=(6,), bias_init=constant(0.01))
    params = params_of(model, IMAGES)
    biases = {name: np.unique(layer["bias"]).tolist() for name, layer in params.items()}
    assert biases == {
        "Conv_0": pytest.approx([0.01]),
        "Dense_0": pytest.approx([0.01]),
        "Dense_1": [0.0],
    }
    wide = params_of(ConvNet(3, channels=((64, 64),), hidden=()), IMAGES)["Conv_1"]["kernel"]
    np.testing.assert_allclose(np.std(wide), np.sqrt(2 / (9 * 64)), rtol=0.02)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ResNet(10, depth=21), ValueError, "depth must be 18, or 6n \\+ 2 .* got 21"),
        (lambda: ResNet(10, depth=2), ValueError, "depth must be 18, or 6n \\+ 2 .* got 2"),
        (lambda: ResNet(0), ValueError, "classes must be a positive integer, got 0"),
        (lambda: LogisticRegression(0), ValueError, "classes must be a positive integer, got 0"),
        (
            lambda: ConvNet(3, channels=(0,)),
            ValueError,
            "channels must be a positive",
        ),
        (lambda: ConvNet(3, hidden="12"), TypeError, "hidden must be a sequence of integers"),
        (lambda: ConvNet(3, pool="min"), ValueError, "pool must be one of 'max', 'avg'"),
        (lambda: ConvNet(3, image_shape=(8, 8)), ValueError, r"image_shape must be \(h, w, chan"),
        (lambda: ConvNet(3, dropout_rate=1.0), ValueError, r"dropout_rate must be in \[0, 1\)"),
        (lambda: MLP((3,), normalization="bach"), ValueError, "normalization must be one of"),
        (lambda: MLP((3,), normalization=BatchNorm()), TypeError, "normalization must be a name"),
        (
            lambda: ConvNet(3).init(KEY, jnp.ones((2, 64))),
            ValueError,
            r"x must be images .* got shape \(2, 64\)",
        ),
        (
            lambda: ConvNet(3, channels=(4, 4, 4)).init(KEY, jnp.ones((2, 4, 4, 1))),
            ValueError,
            "the window must fit",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
