"""The models: what they are made of, their outputs in NumPy, and that every argument counts."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_formulas import resnet

from jaxnn.nn import (
    MLP,
    BatchNorm,
    ConvNet,
    GroupNorm,
    ResNet,
    constant,
    summary,
)

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)


def params_of(model, x):
    return jax.jit(model.init)(KEY, x)["params"]


def test_convnet_of_flat_images():
    arguments = {"channels": (4, (5, 6)), "hidden": (7,), "activation": "tanh"}
    model, flat = ConvNet(3, **arguments), ConvNet(3, image_shape=(8, 8, 1), **arguments)
    params = params_of(model, IMAGES)
    assert jax.tree.map(jnp.shape, params) == {
        "Conv_0": {"bias": (4,), "kernel": (3, 3, 1, 4)},
        "Conv_1": {"bias": (5,), "kernel": (3, 3, 4, 5)},
        "Conv_2": {"bias": (6,), "kernel": (3, 3, 5, 6)},
        "Dense_0": {"bias": (7,), "kernel": (24, 7)},
        "Dense_1": {"bias": (3,), "kernel": (7, 3)},
    }
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


@pytest.mark.slow
def test_resnet_of_18_layers_is_its_formula(x64):
    """With projections at the shortcuts; the form for small images is in the layer table."""
    model, x = ResNet(3, depth=18, width=2), np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    variables = jax.jit(model.init)(KEY, x)
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), variables)
    outputs = jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(outputs, resnet(18)(variables, x), rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "normalization"),
    [
        (partial(MLP, (6, 3)), "batch"),
        (partial(ConvNet, 3, channels=(4,), hidden=(6,)), "layer"),
        (partial(ResNet, 3, depth=8, width=4), partial(GroupNorm, num_groups=2)),
    ],
    ids=["mlp", "convnet", "resnet"],
)
def test_normalization_before_and_behind_the_activation(make, normalization):
    x = IMAGES if make.func is not MLP else IMAGES[:, 0, :, 0]
    outputs = []
    for after in (False, True):
        model = make(normalization=normalization, normalize_after=after)
        variables = jax.jit(model.init)(KEY, x)
        weight = jnp.asarray([1.0, 1, 1, 0])
        run = jax.jit(
            lambda v, x, model=model, weight=weight: model.apply(
                v, x, train=True, weight=weight, mutable=["batch_stats"]
            )
        )
        y, updated = run(variables, x)
        garbage, again = run(variables, np.concatenate([x[:3], 99 + 0 * x[3:]]))
        np.testing.assert_allclose(y[:3], garbage[:3], rtol=1e-4, atol=1e-5)
        for a, b in zip(jax.tree.leaves(updated), jax.tree.leaves(again), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        outputs.append(np.asarray(y))
    assert not np.allclose(*outputs)


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
    ("normalization", "after", "biases"),
    [
        (None, False, True),
        ("batch", False, False),
        ("batch", True, True),
        (partial(BatchNorm, momentum=0.9), False, False),
        (nn.BatchNorm, False, False),
        ("layer", False, True),
        ("group", False, True),
    ],
    ids=str,
)
def test_no_bias_before_a_normalization_that_subtracts_it(normalization, after, biases):
    settings = {"normalization": normalization, "normalize_after": after}
    for model, x, last in (
        (MLP((8, 8, 3), **settings), jnp.ones((2, 5)), "Dense_2"),
        (ConvNet(3, channels=(8,), hidden=(8,), **settings), IMAGES, "Dense_1"),
    ):
        params = jax.eval_shape(model.init, KEY, x)["params"]
        layers = [name for name in params if name.startswith(("Dense", "Conv")) and name != last]
        assert all(("bias" in params[name]) == biases for name in layers) and len(layers) == 2
        assert "bias" in params[last]


@pytest.mark.parametrize("normalization", ["batch", "group", partial(BatchNorm, momentum=0.9)])
def test_the_dtype_of_parameters_reaches_the_normalization(normalization):
    model = MLP((8, 3), normalization=normalization, param_dtype=jnp.bfloat16)
    leaves = jax.tree.leaves(jax.eval_shape(model.init, KEY, jnp.ones((2, 5))))
    assert {leaf.dtype.name for leaf in leaves} == {"bfloat16"}
