"""Rows of the layer table: models."""

from __future__ import annotations

import numpy as np
from layer_formulas import (
    convnet,
    dense,
    mlp,
    relu,
    resnet,
    stochastic_pool_mean,
)
from layer_row import NO_IMAGES, RATE, Row, refusal

from jaxnn import nn

NO_CLASSES = refusal("classes must be a positive integer, got 0", classes=0)
NETWORK = (
    refusal("activation must be one of 'relu', .*, got 'swoosh'", activation="swoosh"),
    refusal("normalization must be one of 'batch', .*, got 'bach'", normalization="bach"),
    refusal("normalization must be a name", normalization=nn.BatchNorm(), error=TypeError),
)


def maxout_mlp(v, x):
    """Two layers of 3 maps for each unit, the second one dropped at a rate of 0.4, vanilla."""
    layers = v["params"]
    for name, factor in (("Dense_0", 1.0), ("Dense_1", 0.6)):
        maps = dense(layers[name], x)
        x = factor * maps.reshape(*maps.shape[:-1], -1, 3).max(-1)
    return dense(layers["Dense_2"], x)


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
        "MLP-maxout",
        ("MLP",),
        lambda dropout_rate, **a: nn.MLP(dropout_rate=(None, dropout_rate), **a),
        (12,),
        maxout_mlp,
        {
            "widths": (8, 6, 5),
            "activation": "maxout",
            "maxout_pieces": 3,
            "dropout_scale_at": "test",
        },
        {"dropout_rate": RATE},
        draws=((16, 6),),
        leading=True,
        refuses=(
            refusal("maxout_pieces is for activation=.maxout. alone", activation="relu"),
            refusal("each of the 3 layers that drop, got 2", widths=(8, 7, 6, 5)),
            refusal("dropout_scale_at must be one of", dropout_scale_at="never"),
        ),
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
            refusal("pool must be one of 'max', 'avg', 'stochastic'", pool="min"),
            refusal("kernel_size must be a number or a pair", kernel_size=(3,)),
            refusal(r"image_shape must be \(h, w, channels\)", image_shape=(8, 8)),
            refusal(r"x must be images .* got shape \(2, 64\)", shape=(2, 64)),
            refusal("the window must fit", channels=(4, 4, 4, 4)),
        ),
    ),
    Row(
        "ConvNet-stochastic",
        ("ConvNet",),
        lambda conv_dropout_rate, **a: nn.ConvNet(conv_dropout_rate=(None, conv_dropout_rate), **a),
        (4, 4, 1),
        convnet((1, 1), 0, relu, stochastic_pool_mean),
        {"classes": 3, "channels": (4, 5), "hidden": (), "pool": "stochastic"},
        {"conv_dropout_rate": RATE},
        draws=((16, 2, 2, 4), (16, 1, 1, 5), (16, 1, 1, 5)),
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
