"""Rows of the layer table: models."""

from __future__ import annotations

import numpy as np
from layer_formulas import (
    convnet,
    dense,
    mlp,
    relu,
    resnet,
)
from layer_row import NO_IMAGES, RATE, Row, refusal

from jaxnn import nn

NO_CLASSES = refusal("classes must be a positive integer, got 0", classes=0)
NETWORK = (
    refusal("activation must be one of 'relu', .*, got 'swoosh'", activation="swoosh"),
    refusal("normalization must be one of 'batch', .*, got 'bach'", normalization="bach"),
    refusal("normalization must be a name", normalization=nn.BatchNorm(), error=TypeError),
)

MODELS = [
    Row(
        "LogisticRegression",
        ("LogisticRegression",),
        nn.LogisticRegression,
        (12,),
        lambda v, x: dense(v["params"]["Dense_0"], x),
        {"classes": 5},
        leading=True,
        refuses=(NO_CLASSES,),
    ),
    Row(
        "MLP-relu",
        ("MLP",),
        nn.MLP,
        (12,),
        mlp(relu),
        {"widths": (32, 16, 5)},
        {"dropout_rate": RATE},
        draws=((16, 32), (16, 16)),
        leading=True,
        refuses=(
            *NETWORK,
            refusal("widths must name at least the number of outputs, got none", widths=()),
            refusal("widths must be a positive integer, got 0", widths=(5, 0)),
            refusal(r"widths must be a positive integer, got 2.0", widths=(5, 2.0)),
        ),
    ),
    Row(
        "MLP-batch-norm",
        ("MLP",),
        nn.MLP,
        (12,),
        mlp(np.tanh, "BatchNorm"),
        {"widths": (16, 5), "activation": "tanh", "normalization": "batch"},
        {"dropout_rate": RATE, "input_dropout_rate": RATE},
        draws=((16, 12), (16, 16)),
        leading=True,
    ),
    Row(
        "ConvNet",
        ("ConvNet",),
        nn.ConvNet,
        (8, 8, 1),
        convnet((1, 2), 1, np.tanh),
        {"classes": 3, "channels": (4, (5, 6)), "hidden": (7,), "activation": "tanh"},
        {"dropout_rate": RATE, "conv_dropout_rate": RATE},
        draws=((16, 4, 4, 4), (16, 2, 2, 6), (16, 7)),
        refuses=(
            *NETWORK,
            NO_CLASSES,
            refusal("channels must be a positive integer, got 0", channels=(0,)),
            refusal("hidden must be a sequence of integers", hidden="12", error=TypeError),
            refusal("pool must be one of 'max', 'avg'", pool="min"),
            refusal(r"image_shape must be \(h, w, channels\)", image_shape=(8, 8)),
            refusal(r"x must be images .* got shape \(2, 64\)", shape=(2, 64)),
            refusal("the window must fit", channels=(4, 4, 4, 4)),
        ),
    ),
    Row(
        "ResNet",
        ("ResNet",),
        nn.ResNet,
        (8, 8, 3),
        resnet(8),
        {"classes": 3, "depth": 8, "width": 2},
        {"dropout_rate": RATE},
        draws=((16, 8),),
        refuses=(
            *NETWORK,
            NO_CLASSES,
            NO_IMAGES,
            refusal(r"depth must be 18, or 6n \+ 2 .* got 21", depth=21),
            refusal(r"depth must be 18, or 6n \+ 2 .* got 2", depth=2),
            refusal("width must be a positive integer, got 0", width=0),
        ),
    ),
]
