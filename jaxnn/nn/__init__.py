"""Layers, activations, initializers and models, as Flax Linen modules and pure functions."""

from jaxnn.nn.activations import ACTIVATIONS, activation, relu, tanh
from jaxnn.nn.dropout import Dropout, dropout
from jaxnn.nn.initializers import (
    Initializer,
    glorot_normal,
    glorot_uniform,
    he_normal,
    initializer_for,
)
from jaxnn.nn.models import MLP

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Dropout",
    "Initializer",
    "activation",
    "dropout",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "initializer_for",
    "relu",
    "tanh",
]
