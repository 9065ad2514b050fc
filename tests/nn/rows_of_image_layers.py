"""Rows of the layer table: convolution and pooling."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from layer_formulas import (
    convolution,
    cross_correlation,
    max_pool,
    stochastic_pool_mean,
    windows,
)
from layer_row import (
    IMAGES,
    NO_FEATURES,
    NO_IMAGES,
    Row,
    drawing,
    of_function,
    refusal,
)

from jaxnn import nn

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)

WINDOW = {"window_shape": 2, "strides": 2}
POOLS = (
    NO_IMAGES,
    refusal("window_shape must be a positive integer, got 0", window_shape=0),
    refusal("the window must fit into the padded inputs", window_shape=7),
)
ONLY_FLOATING = refusal("x must be floating", dtype="int32")

IMAGE_LAYERS = [
    Row(
        "Conv",
        ("Conv",),
        nn.Conv,
        IMAGES,
        lambda v, x: convolution(v["params"], x),
        {"features": 5},
        leading=True,
        refuses=(
            NO_FEATURES,
            refusal("kernel_size must be a positive integer or a pair", kernel_size=(3, 3, 3)),
            refusal("kernel_size must be a positive integer, got 0", kernel_size=0),
            refusal("strides must be a positive integer or a pair of them, got 1.5", strides=1.5),
            refusal("padding must be one of 'SAME', 'VALID', got 'same'", padding="same"),
            refusal("padding must be .*, got -1", padding=-1),
            refusal(r"padding must be .*, got \(1, 1, 1\)", padding=(1, 1, 1)),
            refusal(r"the window must fit .* \(9, 9\)", kernel_size=9, padding="VALID"),
            refusal("feature_group_count must divide features, 5, got 3", feature_group_count=3),
            refusal("must divide the channels of x, 4, got 5", feature_group_count=5),
            refusal(r"x must be images .* got shape \(8, 64\)", shape=(8, 64)),
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
            refusal(r"x must have shape \(n, h, w, channels\)", shape=(16, 4, 4)),
            refusal("kernel must have 4 channels over 1 groups", kernel=KERNEL[:, :, :3]),
        ),
    ),
    Row(
        "max_pool",
        ("max_pool",),
        of_function(nn.max_pool),
        IMAGES,
        lambda v, x: max_pool(x, 3, 2, "SAME"),
        {"window_shape": 3, "strides": 2, "padding": "SAME"},
        refuses=(*POOLS[:2], refusal("the window must fit", shape=(16, 2, 2, 4), padding=0)),
    ),
    Row(
        "avg_pool",
        ("avg_pool",),
        of_function(nn.avg_pool),
        IMAGES,
        lambda v, x: windows(x, 2, 2, "VALID").mean(-1),
        WINDOW,
        refuses=(*POOLS, ONLY_FLOATING),
    ),
    Row(
        "global_avg_pool",
        ("global_avg_pool",),
        of_function(nn.global_avg_pool),
        IMAGES,
        lambda v, x: x.mean((1, 2)),
        refuses=(NO_IMAGES,),
    ),
    *(
        Row(
            covers[0],
            covers,
            factory,
            IMAGES,
            lambda v, x: stochastic_pool_mean(x, 2, 2, "VALID"),
            WINDOW,
            draws=((16, 3, 3, 4),),
            refuses=(*POOLS, ONLY_FLOATING),
        )
        for covers, factory in [
            (("StochasticPool",), nn.StochasticPool),
            (
                ("stochastic_pool", "stochastic_pool_mean"),
                drawing(nn.stochastic_pool, nn.stochastic_pool_mean),
            ),
        ]
    ),
]
