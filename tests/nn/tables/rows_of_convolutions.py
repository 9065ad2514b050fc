"""Rows of the layer table: convolution."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from layer_formulas import (
    convolution,
    cross_correlation,
    transposed_convolution,
)
from layer_row import (
    IMAGES,
    NO_FEATURES,
    Row,
    of_function,
    refusal,
)

from jaxnn import nn

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)

CONVOLUTIONS = [
    Row(
        "Conv",
        ("Conv",),
        nn.Conv,
        IMAGES,
        lambda v, x: convolution(v["params"], x),
        {"features": 5, "kernel_size": (3, 3)},
        leading=True,
        refuses=(
            NO_FEATURES,
            refusal(
                "kernel_size must be a positive integer, or one to three", kernel_size=(3,) * 4
            ),
            refusal(
                r"x must be images \(n, h, w.* got shape \(8, 6, 4\)",
                kernel_size=3,
                shape=(8, 6, 4),
            ),
            refusal(r"x must be images .* single number", kernel_size=3, shape=(8, 2, 6, 6, 4)),
            refusal("use_bias must be True or False, got 1", use_bias=1, error=TypeError),
            refusal("kernel_size must be a positive integer, got 0", kernel_size=0),
            refusal("strides must be a positive integer, or one for each .* got 1.5", strides=1.5),
            refusal("strides must be .* each of the window's 2 axes", strides=(1, 1, 1)),
            refusal("padding must be one of 'SAME', .*, got 'same'", padding="same"),
            refusal('"CAUSAL" is for one spatial axis', padding="CAUSAL"),
            refusal("padding must be .* got True", padding=True),
            refusal("padding must be .*, got -1", padding=-1),
            refusal(r"padding must be .*, got \(1, 1, 1\)", padding=(1, 1, 1)),
            refusal(r"the window must fit .* \(9, 9\)", kernel_size=9, padding="VALID"),
            refusal("feature_group_count must divide features, 5, got 3", feature_group_count=3),
            refusal("must divide the channels of x, 4, got 5", feature_group_count=5),
            refusal(r"x must have the axes \(..., h, w, channels\) .* \(8, 64\)", shape=(8, 64)),
        ),
    ),
    Row(
        "Conv-groups",
        ("Conv",),
        nn.Conv,
        IMAGES,
        lambda v, x: convolution(
            v["params"], x, 2, strides=(2, 1), padding=((1, 1), (0, 2)), dilation=(1, 2)
        ),
        {
            "features": 6,
            "kernel_size": (3, 2),
            "strides": (2, 1),
            "padding": (1, (0, 2)),
            "kernel_dilation": (1, 2),
            "feature_group_count": 2,
        },
        leading=True,
    ),
    Row(
        "conv",
        ("conv",),
        of_function(lambda x, kernel=KERNEL, **a: nn.conv(x, jnp.asarray(kernel, x.dtype), **a)),
        IMAGES,
        lambda v, x: cross_correlation(x, KERNEL.astype(float)),
        refuses=(
            refusal(r"x the axes \(n, as many spatial axes, channels\)", shape=(16, 4, 4)),
            refusal("kernel must have 4 channels over 1 groups", kernel=KERNEL[:, :, :3]),
        ),
    ),
    Row(
        "Conv-sequences",
        ("Conv",),
        nn.Conv,
        (9, 3),
        lambda v, x: convolution(v["params"], x, strides=(2,), padding=((4, 0),), dilation=(2,)),
        {
            "features": 4,
            "kernel_size": (3,),
            "strides": 2,
            "padding": "CAUSAL",
            "kernel_dilation": 2,
        },
        leading=True,
    ),
    Row(
        "Conv-volumes",
        ("Conv",),
        nn.Conv,
        (4, 5, 4, 2),
        lambda v, x: convolution(
            v["params"],
            np.pad(x, ((0, 0), (1, 1), (0, 1), (1, 1), (0, 0)), "wrap"),
            strides=(1, 2, 1),
            padding=((0, 0),) * 3,
        ),
        {
            "features": 3,
            "kernel_size": (3, 2, 3),
            "strides": (1, 2, 1),
            "padding": "CIRCULAR",
            "use_bias": False,
        },
        leading=True,
    ),
    Row(
        "Conv-depthwise",
        ("Conv",),
        nn.Conv,
        IMAGES,
        lambda v, x: convolution(
            v["params"],
            np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect"),
            4,
            padding=((0, 0),) * 2,
        ),
        {
            "features": 8,
            "kernel_size": (3, 3),
            "padding": "REFLECT",
            "feature_group_count": 4,
        },
        leading=True,
    ),
    Row(
        "ConvTranspose",
        ("ConvTranspose",),
        nn.ConvTranspose,
        IMAGES,
        lambda v, x: transposed_convolution(v["params"], x, (2, 3), ((2, 1), (1, 2))),
        {"features": 5, "kernel_size": (3, 2), "strides": (2, 3)},
        leading=True,
        refuses=(
            NO_FEATURES,
            refusal("x must be images .* single number", kernel_size=3, strides=1, shape=(8, 6, 4)),
            refusal("transpose_kernel must be True or False", transpose_kernel=1, error=TypeError),
            refusal("padding must be one of 'SAME', 'VALID', 'CIRC", padding="CAUSAL"),
            refusal("the window must fit into the spread", kernel_size=(30, 2), padding=0),
        ),
    ),
    Row(
        "conv_transpose",
        ("conv_transpose",),
        of_function(
            lambda x, **a: nn.conv_transpose(x, jnp.asarray(KERNEL[1], x.dtype), **a),
        ),
        (5, 4),
        lambda v, x: transposed_convolution({"kernel": KERNEL[1]}, x, (2,), ((2, 1),)),
        {"strides": 2},
        refuses=(refusal("kernel must have 3 channels over 1 groups", shape=(8, 5, 3)),),
    ),
]
