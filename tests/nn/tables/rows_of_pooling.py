"""Rows of the layer table: pooling."""

from __future__ import annotations

from functools import partial

from layer_formulas import (
    max_pool,
    regions,
    stochastic_pool_mean,
    windows,
)
from layer_row import (
    IMAGES,
    NO_IMAGES,
    Row,
    drawing,
    of_function,
    refusal,
)

from jaxnn import nn

WINDOW = {"window_shape": 2, "strides": 2}
POOLS = (
    NO_IMAGES,
    refusal("window_shape must be a positive integer, got 0", window_shape=0),
    refusal("the window must fit into the padded inputs", window_shape=7),
)
ONLY_FLOATING = refusal("x must be floating", dtype="int32")

POOLING = [
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
    Row(
        "global_max_pool",
        ("global_max_pool",),
        of_function(nn.global_max_pool),
        (3, 4, 2, 4),
        lambda v, x: x.max((1, 2, 3)),
        {"spatial_axes": 3},
        leading=True,
        refuses=(
            refusal("x must be images .* spatial_axes=", spatial_axes=None),
            refusal("spatial_axes must be one of 1, 2, 3, got 4", spatial_axes=4),
            refusal("x must have entries to take the largest of", shape=(2, 3, 0, 2, 4)),
        ),
    ),
    *(
        Row(
            covers[0],
            covers,
            factory,
            IMAGES,
            lambda v, x: regions(regions(x, 2, (0, 2, 3, 5, 6), True), 1, (0, 2, 3, 5, 6), True),
            {},
            draws=((2, 4),),
            refuses=(
                refusal("ratio must be a Python number of at least 1", ratio=0.9),
                refusal("ratio must leave outputs", ratio=7.0),
                refusal("overlapping must be True or False", overlapping=1, error=TypeError),
                refusal(r"x must have the axes \(n, h, w, channels\)", shape=(6, 6, 4)),
            ),
        )
        for covers, factory in [
            (("FractionalMaxPool",), nn.FractionalMaxPool),
            (
                ("fractional_max_pool",),
                drawing(nn.fractional_max_pool, partial(nn.fractional_max_pool, None)),
            ),
        ]
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
