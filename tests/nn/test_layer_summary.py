"""Summaries, against counts by hand."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxnn.nn import MLP
from jaxnn.nn.adapters.forms import from_nnx
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.layer_summary import Layer, Summary, summary


def shaped(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_an_mlp():
    table = summary(MLP((100, 50, 10), dropout_rate=0.5), shaped(32, 64), train=True)
    assert isinstance(table, Summary)
    assert table.rows == (
        Layer("Dense_0", "Dense", (32, 100), 64 * 100 + 100, 32 * 64 * 100),
        Layer("Dropout_0", "Dropout", (32, 100), 0, 0),
        Layer("Dense_1", "Dense", (32, 50), 100 * 50 + 50, 32 * 100 * 50),
        Layer("Dropout_1", "Dropout", (32, 50), 0, 0),
        Layer("Dense_2", "Dense", (32, 10), 50 * 10 + 10, 32 * 50 * 10),
    )
    assert table.parameters == 6500 + 5050 + 510
    assert table.operations == 32 * (6400 + 5000 + 500)
    assert (table.state, table.size) == (0, 4 * table.parameters)


class Block(nn.Module):
    """With a parameter of its own beside its layers'."""

    @nn.compact
    def __call__(self, x, *, train=False):
        gain = self.param("gain", nn.initializers.ones, (6,))
        x = nn.Conv(6, (3, 3), strides=2, padding="SAME", feature_group_count=2)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return x * gain[None, None, None]


class ConvNet(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.relu(nn.Conv(4, (5, 3), padding="VALID")(x))
        x = Block(name="block")(x, train=train)
        x = nn.ConvTranspose(2, (3, 3))(x)
        return nn.Dense(3)(x.reshape(x.shape[0], -1))


def test_a_convolutional_net():
    """Of (12, 10, 2): 8 x 8 x 4, then 4 x 4 x 6 in two groups, 4 x 4 x 2, and 3."""
    table = summary(ConvNet(), shaped(7, 12, 10, 2))
    assert table.rows == (
        Layer("Conv_0", "Conv", (7, 8, 8, 4), 5 * 3 * 2 * 4 + 4, 7 * 64 * 4 * 5 * 3 * 2),
        Layer("block", "Block", (7, 4, 4, 6), 6, 0),
        Layer("block/Conv_0", "Conv", (7, 4, 4, 6), 9 * 2 * 6 + 6, 7 * 16 * 6 * 9 * 2),
        Layer("block/BatchNorm_0", "BatchNorm", (7, 4, 4, 6), 12, 0),
        Layer("ConvTranspose_0", "ConvTranspose", (7, 4, 4, 2), 9 * 6 * 2 + 2, 7 * 16 * 2 * 9 * 6),
        Layer("Dense_0", "Dense", (7, 3), 32 * 3 + 3, 7 * 32 * 3),
    )
    assert table.state == 12
    shapes = jax.eval_shape(ConvNet().init, jax.random.key(0), shaped(7, 12, 10, 2))["params"]
    assert table.parameters == sum(np.prod(p.shape) for p in jax.tree.leaves(shapes))
    assert table.operations == sum(row.operations for row in table.rows)


class Lifted(nn.Module):
    """A layer used twice, one in a scan of 5, one jitted, and a product of the module's own."""

    @nn.compact
    def __call__(self, x):
        twice = nn.Dense(4, use_bias=False, name="twice")
        x = twice(twice(x))
        turn = nn.scan(
            lambda layer, carry, _: (layer(carry), None),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=5,
        )
        x, _ = turn(nn.Dense(4, use_bias=False, name="scanned"), x, None)
        x = nn.jit(nn.Dense)(4, use_bias=False, name="jitted")(x)
        return nn.remat(nn.Dense)(4, use_bias=False, name="remat")(x) @ x.T


def test_lifted_layers():
    for _ in range(2):  # JAX finds the trace of the jitted layer the second time
        table = summary(Lifted(), shaped(3, 4))
        own = {row.path: (row.parameters, row.operations) for row in table.rows}
        one = 3 * 4 * 4
        assert own == {
            "": (0, 3 * 4 * 3),
            "twice": (16, 2 * one),
            "scanned": (5 * 16, 5 * one),
            "jitted": (16, one),
            "remat": (16, one),
        }


def test_the_dearest_branch_and_one_turn_count():
    def apply(params, x):
        w = params["a"]["w"]
        x = jax.lax.cond(x.sum() > 0, lambda x: x @ w @ w, lambda x: x @ w, x)
        return jax.lax.while_loop(lambda x: x.sum() > 0, lambda x: x @ w, x)

    model = (lambda key, x: {"a": {"w": jnp.ones((4, 4))}, "b": jnp.ones(3)}, apply)
    table = summary(model, shaped(2, 4))
    assert table.operations == 3 * 2 * 4 * 4
    assert table.rows == (Layer("a", "", None, 16, None), Layer("", "", None, 3, None))


def test_models_of_other_forms():
    def make(rngs):
        return nnx.Sequential(
            nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Linear(8, 2, rngs=rngs)
        )

    table = summary(from_nnx(make), shaped(3, 4))
    assert [(row.path, row.parameters) for row in table.rows] == [
        ("layers/0", 40),
        ("layers/1", 16),
        ("layers/2", 18),
    ]
    assert (table.operations, table.state) == (3 * (32 + 16), 16)


def test_nothing_is_computed():
    def refuse(*_):
        raise AssertionError("computed")

    def init(key, x):
        return jax.pure_callback(refuse, shaped(4, 10**6), key), {}

    def apply(params, model_state, x, **_):
        return jax.pure_callback(refuse, shaped(2, 10**6), x) + (x @ params), model_state

    assert summary(Functional(init, apply), np.ones((2, 4))).operations == 8 * 10**6


def test_attention_by_hand():
    """Its products of queries and keys are its own; the projections are its layers'."""
    tokens, width = 7, 6
    table = summary(nn.MultiHeadDotProductAttention(2), shaped(2, tokens, width))
    own = {row.path: row.operations for row in table.rows}
    projection = 2 * tokens * width * width
    expected = dict.fromkeys(("query", "key", "value", "out"), projection)
    assert own == {"": 2 * (2 * tokens * tokens * width), **expected}
