"""Layers, activations, initializers and models, as Flax Linen modules and pure functions."""

from jaxnn.nn.activations.gates import (
    gelu,
    gelu_tanh,
    glu,
    hard_silu,
    hard_swish,
    mish,
    silu,
    swish,
)
from jaxnn.nn.activations.rectifiers import (
    celu,
    elu,
    identity,
    leaky_relu,
    relu,
    relu6,
    selu,
    softplus,
)
from jaxnn.nn.activations.sigmoids import (
    hard_sigmoid,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    sigmoid,
    soft_sign,
    softmax,
    tanh,
)
from jaxnn.nn.activations.sparsemax import sparsemax
from jaxnn.nn.activations.table import ACTIVATIONS, activation
from jaxnn.nn.adapters.forms import Model, as_functional, from_nnx, takes_weight
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.adapters.pretrained import LoadReport, load_pretrained
from jaxnn.nn.initializers.basic import (
    Initializer,
    constant,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    orthogonal,
    positive_mean,
    uniform,
    variance_scaling,
    zeros,
)
from jaxnn.nn.initializers.lsuv import layer_sequential_unit_variance
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layer_summary import Layer, Summary, summary
from jaxnn.nn.layers.convolution.conv import conv
from jaxnn.nn.layers.convolution.layer import Conv
from jaxnn.nn.layers.convolution.transposed import ConvTranspose, conv_transpose
from jaxnn.nn.layers.dropout.dropconnect import DropConnect
from jaxnn.nn.layers.dropout.dropout import Dropout, dropout
from jaxnn.nn.layers.dropout.noise import (
    AlphaDropout,
    GaussianDropout,
    alpha_dropout,
    gaussian_dropout,
)
from jaxnn.nn.layers.norm.batch import BatchNorm
from jaxnn.nn.layers.norm.group import GroupNorm
from jaxnn.nn.layers.norm.layer import LayerNorm, RMSNorm
from jaxnn.nn.layers.parametric import Maxout, PReLU
from jaxnn.nn.layers.pooling.fractional import FractionalMaxPool, fractional_max_pool
from jaxnn.nn.layers.pooling.pool import avg_pool, max_pool
from jaxnn.nn.layers.pooling.stochastic import (
    StochasticPool,
    stochastic_pool,
    stochastic_pool_mean,
)
from jaxnn.nn.layers.pooling.whole import global_avg_pool, global_max_pool
from jaxnn.nn.models import MLP, ConvNet, LogisticRegression, ResNet
from jaxnn.nn.taps import Tap, tap

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "AlphaDropout",
    "BatchNorm",
    "Conv",
    "ConvNet",
    "ConvTranspose",
    "DropConnect",
    "Dropout",
    "FractionalMaxPool",
    "Functional",
    "GaussianDropout",
    "GroupNorm",
    "Initializer",
    "Layer",
    "LayerNorm",
    "LoadReport",
    "LogisticRegression",
    "Maxout",
    "Model",
    "PReLU",
    "RMSNorm",
    "ResNet",
    "StochasticPool",
    "Summary",
    "Tap",
    "activation",
    "alpha_dropout",
    "as_functional",
    "avg_pool",
    "celu",
    "constant",
    "conv",
    "conv_transpose",
    "dropout",
    "elu",
    "fractional_max_pool",
    "from_nnx",
    "gaussian_dropout",
    "gelu",
    "gelu_tanh",
    "global_avg_pool",
    "global_max_pool",
    "glorot_normal",
    "glorot_uniform",
    "glu",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "he_normal",
    "he_uniform",
    "identity",
    "initializer_for",
    "layer_sequential_unit_variance",
    "leaky_relu",
    "lecun_normal",
    "lecun_uniform",
    "load_pretrained",
    "log_sigmoid",
    "log_softmax",
    "max_pool",
    "mish",
    "normal",
    "orthogonal",
    "positive_mean",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_sign",
    "softmax",
    "softplus",
    "sparsemax",
    "stochastic_pool",
    "stochastic_pool_mean",
    "summary",
    "swish",
    "takes_weight",
    "tanh",
    "tap",
    "uniform",
    "variance_scaling",
    "zeros",
]
