"""Losses against closed forms, NumPy and golden numbers, and the shapes they refuse."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import GOLDEN

from jaxnn.losses import softmax_cross_entropy, squared_error, unwrap

RNG = np.random.default_rng(0)
LOGITS, LABELS = 3 * RNG.normal(size=(8, 5)), RNG.integers(0, 5, 8)
SOFT = RNG.dirichlet(np.ones(5), size=8)


def cross_entropy(logits, probabilities):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return -(probabilities * np.log(p)).sum(-1)


def test_cross_entropy_is_its_formula(x64):
    for target in (np.eye(5)[LABELS], SOFT):
        loss = jax.jit(softmax_cross_entropy)(jnp.asarray(LOGITS), jnp.asarray(target))
        np.testing.assert_allclose(loss, cross_entropy(LOGITS, target), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["int32", "int8", "uint8", "int64"])
def test_integer_and_one_hot_labels_agree(dtype, x64):
    logits = jnp.asarray(LOGITS)
    loss = softmax_cross_entropy(logits, jnp.asarray(LABELS, dtype))
    np.testing.assert_allclose(
        loss, softmax_cross_entropy(logits, jax.nn.one_hot(LABELS, 5)), rtol=1e-14
    )


def test_cross_entropy_per_token(x64):
    logits, labels = LOGITS.reshape(2, 4, 5), LABELS.reshape(2, 4)
    expected = cross_entropy(logits, np.eye(5)[labels])
    for target in (labels, np.eye(5)[labels]):
        loss = softmax_cross_entropy(jnp.asarray(logits), jnp.asarray(target))
        np.testing.assert_allclose(loss, expected, rtol=1e-13)


def test_golden_172():
    case = GOLDEN["172"]
    loss = softmax_cross_entropy(
        jnp.asarray(case["inputs"]["logits"]), jnp.asarray(case["inputs"]["labels"])
    )
    np.testing.assert_allclose(loss, case["expected"], **case["tolerance"])


def test_closed_forms_of_cross_entropy():
    """log K for equal logits, unmoved by a shift of the logits, and linear far out."""
    np.testing.assert_allclose(
        softmax_cross_entropy(jnp.zeros((1, 10)), jnp.asarray([3])), np.log(10), rtol=1e-6
    )
    two, label = jnp.asarray([[1.0, 4.0]]), jnp.asarray([0])
    expected = np.log1p(np.exp(3.0))
    for shift in (0.0, -100.0, 1000.0):
        np.testing.assert_allclose(softmax_cross_entropy(two + shift, label), expected, rtol=1e-5)
    far = jnp.asarray([[0.0, 1e30], [1e30, 0.0], [-3e4, 3e4]])
    np.testing.assert_array_equal(
        softmax_cross_entropy(far, jnp.asarray([0, 0, 0])), jnp.asarray([1e30, 0.0, 6e4])
    )


def test_gradient_of_cross_entropy_is_probability_minus_target(x64):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    for target, one in ((LABELS, np.eye(5)[LABELS]), (SOFT, SOFT)):
        gradient = jax.grad(lambda z, t: softmax_cross_entropy(z, t).sum())(
            jnp.asarray(LOGITS), jnp.asarray(target)
        )
        np.testing.assert_allclose(gradient, p - one, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (softmax_cross_entropy, LABELS),
        (softmax_cross_entropy, SOFT),
        (squared_error, RNG.normal(size=(8, 5))),
    ],
    ids=["integer", "soft", "squared"],
)
def test_gradients_against_central_differences(loss, target, x64):
    target, h = jnp.asarray(target), 1e-5
    steps = h * np.eye(40).reshape(40, 8, 5)
    total = jax.jit(jax.vmap(lambda z: loss(z, target).sum()))
    slope = (total(LOGITS + steps) - total(LOGITS - steps)) / (2 * h)
    gradient = jax.grad(lambda z: loss(z, target).sum())(jnp.asarray(LOGITS))
    np.testing.assert_allclose(np.ravel(gradient), slope, rtol=1e-6, atol=1e-8)


def test_squared_error_is_the_mean_over_outputs(x64):
    for shape in ((6,), (6, 1), (6, 4), (6, 2, 3)):
        a, b = RNG.normal(size=shape), RNG.normal(size=shape)
        expected = [np.mean((p - t) ** 2) for p, t in zip(a, b, strict=True)]
        loss = squared_error(jnp.asarray(a), jnp.asarray(b))
        np.testing.assert_allclose(loss, expected, rtol=1e-13)


def test_gradient_of_squared_error(x64):
    a, b = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 4))
    gradient = jax.grad(lambda p: squared_error(p, jnp.asarray(b)).sum())(jnp.asarray(a))
    np.testing.assert_allclose(gradient, 2 * (a - b) / 4, rtol=1e-13)


@pytest.mark.parametrize(
    ("predictions", "targets"), [((6, 1), (6,)), ((6,), (6, 1)), ((6, 3), (1, 3)), ((6, 3), (3,))]
)
def test_squared_error_broadcasts_nothing(predictions, targets):
    with pytest.raises(ValueError, match="targets must have the shape of the predictions"):
        squared_error(jnp.ones(predictions), jnp.ones(targets))


@pytest.mark.parametrize("labels", [(8, 1), (7,), (8, 4), (1,), (), (5,), (8, 5, 1)])
def test_cross_entropy_broadcasts_nothing(labels):
    with pytest.raises(ValueError, match=r"labels must have shape \(8,\).*or \(8, 5\)"):
        softmax_cross_entropy(jnp.ones((8, 5)), jnp.ones(labels, int))


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_labels_that_are_no_integers_are_refused(dtype):
    with pytest.raises(TypeError, match=f"must be integer classes, got {dtype}"):
        softmax_cross_entropy(jnp.ones((8, 5)), jnp.ones(8, dtype))


def test_unwrap_goes_through_partials():
    assert unwrap(softmax_cross_entropy) is softmax_cross_entropy
    assert unwrap(partial(partial(squared_error))) is squared_error
