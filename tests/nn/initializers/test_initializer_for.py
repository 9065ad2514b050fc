"""Which initializer suits which activation: lecture M's table."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxnn import nn
from jaxnn.nn.initializers.suited import _BY_ACTIVATION


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        *((name, "glorot_uniform") for name in ("tanh", "sigmoid", "softmax")),
        *((name, "he_normal") for name in ("relu", "leaky_relu", "elu", "gelu", "gelu_tanh")),
        *((name, "he_normal") for name in ("swish", "silu", "mish")),
        ("selu", "lecun_normal"),
        (nn.relu, "he_normal"),
        (jax.nn.relu, "he_normal"),
        (jax.nn.swish, "he_normal"),
        (partial(nn.leaky_relu, negative_slope=0.2), "he_normal"),
        (nn.PReLU(), "he_normal"),
        (jax.nn.selu, "lecun_normal"),
        (nn.tanh, "glorot_uniform"),
        (jnp.tanh, "glorot_uniform"),
        (lambda x: x, "glorot_uniform"),
    ],
)
def test_lecture_m_table(activation, name):
    assert nn.initializer_for(activation).__qualname__ == f"{name}.<locals>.init"


def test_the_table_knows_every_activation():
    assert set(nn.ACTIVATIONS) - set(_BY_ACTIVATION) == {"identity", "linear"}
