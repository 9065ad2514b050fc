"""The product of small dense layers is the ordinary one, in all its derivatives."""

from __future__ import annotations

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.nn.layers.product import dot_general

LAST_WITH_FIRST = (((1,), (0,)), ((), ()))
SHAPES = [(3, 4, 5), (1, 1, 1), (32, 64, 32), (129, 40, 70)]  # the last is too large for our way


def ours(x, w):
    return dot_general(x, w, LAST_WITH_FIRST)


def normal(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_are_those_of_the_product(shape):
    n, inputs, outputs = shape
    x, w, ct = normal(0, (n, inputs), (inputs, outputs), (n, outputs))
    dx, dw = normal(1, (n, inputs), (inputs, outputs))

    def close(got, want):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-4), got, want)

    close(ours(x, w), x @ w)
    close(jax.jvp(ours, (x, w), (dx, dw))[1], dx @ w + x @ dw)
    close(jax.vjp(ours, x, w)[1](ct), (ct @ w.T, x.T @ ct))

    def curved(product):
        return lambda x, w: jnp.sum(jnp.tanh(product(x, w) / 8) ** 2)

    for of in (0, 1):  # of one operand alone, and of both
        close(jax.grad(curved(ours), of)(x, w), jax.grad(curved(jnp.matmul), of)(x, w))
    second = [
        jax.jvp(jax.grad(curved(product), (0, 1)), (x, w), (dx, dw))
        for product in (ours, jnp.matmul)
    ]
    close(*second)


def test_members_have_products_of_their_own():
    x, w = normal(0, (8, 6), (5, 6, 4))
    gradient = jax.grad(lambda w, x: jnp.sum(ours(x, w) ** 2))
    for in_axes, inputs in (((0, None), x), ((0, 0), jnp.stack([x] * 5))):
        mapped = jax.vmap(gradient, in_axes)(w, inputs)
        looped = jnp.stack([gradient(each, x) for each in w])
        np.testing.assert_allclose(mapped, looped, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere it is the ordinary product")
def test_the_gradient_of_the_kernel_sums_over_columns():
    x, w = normal(0, (32, 64), (64, 32))

    def dots(product):
        loss = jax.jit(jax.grad(lambda w, x: jnp.sum(jnp.tanh(product(x, w)))))
        text = loss.lower(w, x).compile().as_text()
        return re.findall(r"dot\(.*lhs_contracting_dims={(\d)}, rhs_contracting_dims={(\d)}", text)

    assert set(dots(ours)) == {("1", "0")}
    assert ("0", "0") in dots(jnp.matmul)  # what XLA takes its slower routine for


def test_other_layers_pass_through():
    x = jnp.ones((2, 3, 4))
    layer = nn.Dense(5, dot_general=dot_general)
    variables = layer.init(jax.random.key(0), x)
    np.testing.assert_array_equal(layer.apply(variables, x), nn.Dense(5).apply(variables, x))
    precise = nn.Dense(5, dot_general=dot_general, precision="highest")
    np.testing.assert_allclose(
        precise.apply(variables, x[0]), nn.Dense(5).apply(variables, x[0]), rtol=1e-6
    )
