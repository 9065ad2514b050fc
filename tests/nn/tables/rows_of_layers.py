"""Rows of the layer table: dropout, normalization, and layers with a kernel or slopes."""

from __future__ import annotations

import numpy as np
from layer_formulas import (
    batch_norm,
    dense,
    float64,
    group_norm,
    layer_norm,
    maxout,
    rms_norm,
    sigmoid,
)
from layer_row import (
    EPSILON,
    IMAGES,
    MOMENTUM,
    NO_FEATURES,
    RATE,
    SLOPE,
    Row,
    drawing,
    of_function,
    refusal,
)

from jaxnn import nn

NO_SCALE_AT = refusal("scale_at must be one of 'train', 'test', got 'never'", scale_at="never")

NO_AXES = refusal("broadcast_dims must be a sequence of int", broadcast_dims=1, error=TypeError)


def same(x, **_):
    return x


LAYERS = [
    *(
        Row(
            name,
            (name.partition("-")[0],),
            factory,
            (24,),
            lambda v, x, factor=factor: factor * x,
            static,
            {"rate": RATE},
            draws=(drawn,),
            leading=True,
            refuses=refuses,
        )
        for name, factory, factor, static, drawn, refuses in [
            ("Dropout", nn.Dropout, 1.0, {}, (16, 24), (NO_SCALE_AT,)),
            ("Dropout-vanilla", nn.Dropout, 0.6, {"scale_at": "test"}, (16, 24), ()),
            ("Dropout-channels", nn.Dropout, 1.0, {"broadcast_dims": (-1,)}, (16, 1), ()),
            ("dropout", drawing(nn.dropout, same), 1.0, {}, (16, 24), ()),
            ("GaussianDropout", nn.GaussianDropout, 1.0, {}, (16, 24), (NO_AXES,)),
            ("gaussian_dropout", drawing(nn.gaussian_dropout, same), 1.0, {}, (16, 24), ()),
            ("AlphaDropout", nn.AlphaDropout, 1.0, {}, (16, 24), (NO_AXES,)),
            ("alpha_dropout", drawing(nn.alpha_dropout, same), 1.0, {}, (16, 24), ()),
        ]
    ),
    *(
        Row(
            f"DropConnect{name}",
            ("DropConnect",),
            nn.DropConnect,
            (12,),
            lambda v, x, factor=factor: dense(v["params"], x, factor),
            {"features": 5, **static},
            {"rate": RATE},
            draws=(drawn,),
            leading=True,
            refuses=(NO_FEATURES, NO_SCALE_AT),
        )
        for name, factor, static, drawn in [
            ("", 1.0, {}, (12, 5)),
            ("-vanilla", 0.6, {"scale_at": "test"}, (12, 5)),
            ("-per-example", 1.0, {"per_example": True}, (16, 12, 5)),
        ]
    ),
    Row(
        "PReLU",
        ("PReLU",),
        nn.PReLU,
        (7,),
        lambda v, x: np.where(x > 0, x, float64(v["params"]["negative_slope"]) * x),
        {"per_channel": True},
        {"negative_slope_init": SLOPE},
        leading=True,
    ),
    Row(
        "Maxout",
        ("Maxout",),
        nn.Maxout,
        (7,),
        lambda v, x: maxout(v["params"], x, 3),
        {"features": 5, "pieces": 3},
        leading=True,
        refuses=(
            NO_FEATURES,
            refusal(r"pieces must be a positive integer, got 1\.5", pieces=1.5),
        ),
    ),
    Row(
        "BatchNorm",
        ("BatchNorm",),
        nn.BatchNorm,
        IMAGES,
        lambda v, x: batch_norm(v, x, 0.1),
        {},
        {"epsilon": EPSILON, "momentum": MOMENTUM},
        leading=True,
    ),
    Row(
        "LayerNorm",
        ("LayerNorm",),
        nn.LayerNorm,
        (12,),
        lambda v, x: layer_norm(v, x, 0.1),
        {},
        {"epsilon": EPSILON},
        leading=True,
    ),
    Row(
        "RMSNorm",
        ("RMSNorm",),
        nn.RMSNorm,
        (12,),
        lambda v, x: rms_norm(v, x, 0.1),
        {},
        {"epsilon": EPSILON},
        leading=True,
        refuses=(
            refusal("reduction_axes must be different axes of x", reduction_axes=(1, -1)),
            refusal("use_scale must be True or False, got 'no'", use_scale="no", error=TypeError),
        ),
    ),
    Row(
        "GroupNorm",
        ("GroupNorm",),
        nn.GroupNorm,
        IMAGES,
        lambda v, x: group_norm(v, x, 0.1, 2),
        {"num_groups": 2},
        {"epsilon": EPSILON},
        refuses=(
            refusal("num_groups must be a positive integer, got 0", num_groups=0),
            refusal("num_groups must divide the 4 channels of x, got 3", num_groups=3),
            refusal("reduction_axes must contain the last axis", reduction_axes=(1, 2)),
        ),
    ),
    Row(
        "glu",
        ("glu",),
        of_function(nn.glu),
        (6,),
        lambda v, x: x[..., :3] * sigmoid(x[..., 3:]),
        leading=True,
        refuses=(refusal(r"even size along axis -1, got the shape \(4, 5\)", shape=(4, 5)),),
    ),
]
