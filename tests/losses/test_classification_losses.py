"""Cross-entropies where it is difficult: far out, masked, labels that are none."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_table import LABELS, LOGITS, SOFT, WEIGHTS, log_softmax

from jaxnn.losses import negative_log_likelihood, sigmoid_cross_entropy, softmax_cross_entropy
from jaxnn.metrics import ratio, weighted


@jax.jit
def LOSS(logits, labels, a=None, w=None):
    return softmax_cross_entropy(logits, labels, label_smoothing=a, class_weights=w)


@jax.jit
def SLOPE(logits, labels, a=None):
    return jax.grad(lambda z: LOSS(z, labels, a).sum())(logits)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integer_and_one_hot_labels_agree(dtype, x64):
    expected = LOSS(LOGITS, np.eye(5)[LABELS], 0.1, WEIGHTS)
    found = LOSS(LOGITS, LABELS.astype(dtype), 0.1, WEIGHTS)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_closed_forms_of_cross_entropy():
    """log K for equal logits, unmoved by a shift of the logits, and linear far out."""
    two, far = (
        [[1.0, 4.0], [-99.0, -96.0], [1001.0, 1004.0]],
        [[0.0, 1e30], [1e30, 0.0], [-3e4, 3e4]],
    )
    logits = np.array([[7.0, 7.0], *two, *far], np.float32)
    expected = [np.log(2), *[np.log1p(np.exp(3.0))] * 3, 1e30, 0, 6e4]
    np.testing.assert_allclose(LOSS(logits, np.zeros(7, int)), expected, rtol=1e-5)


def test_gradient_of_cross_entropy_is_probability_minus_smoothed_target(x64):
    p = np.exp(log_softmax(LOGITS))
    for target, one in ((LABELS, np.eye(5)[LABELS]), (SOFT, SOFT)):
        for a in (0.0, 0.1, 1.0):
            expected = p - (1 - a) * one - a / 5
            np.testing.assert_allclose(SLOPE(LOGITS, target, a), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("smoothing", [None, 0.0])
@pytest.mark.parametrize("label", [0, [1.0, 0.0, 0.0], [0.25, 0.75, 0.0]], ids=str)
def test_far_and_masked_logits(label, smoothing):
    """0 · ∞ is 0, in the value and in the gradient."""
    far = np.array([[1e4, -1e4, -np.inf], [-1e4, 1e4, -np.inf], [0, 0, -np.inf]], np.float32)
    labels = np.array([label] * 3)
    of_0 = 1.0 if label == 0 else label[0]
    expected = [2e4 * (1 - of_0), 2e4 * of_0, np.log(2)]
    gradient = [[1 - of_0, of_0 - 1, 0], [-of_0, of_0, 0], [0.5 - of_0, of_0 - 0.5, 0]]
    np.testing.assert_allclose(LOSS(far, labels, smoothing), expected, rtol=1e-6)
    np.testing.assert_allclose(SLOPE(far, labels, smoothing), gradient, atol=1e-6)


def test_a_masked_label_costs_infinitely_much():
    logits = np.array([[0.0, -np.inf]] * 2, np.float32)
    np.testing.assert_array_equal(LOSS(logits, np.array([0, 1])), [0, np.inf])
    np.testing.assert_array_equal(LOSS(logits, np.array([[1.0, 0.0], [0.5, 0.5]])), [0, np.inf])
    np.testing.assert_array_equal(LOSS(logits, np.array([0, 1]), 0.1), [np.inf, np.inf])


@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_a_class_that_is_none_is_nan_behind_a_tracer_and_nothing_at_weight_0(smoothing):
    """Not the last class, and not the nearest."""
    logits = LOGITS.astype(np.float32)
    labels = np.array([-1, 0, -5, 1, 5, 4, 255, 2**31 - 1])
    real = (labels >= 0) & (labels < 5)
    np.testing.assert_array_equal(np.isnan(LOSS(logits, labels, smoothing)), ~real)

    @jax.jit
    @jax.value_and_grad
    def mean(logits, labels, weight):
        return ratio(weighted(LOSS(logits, labels, smoothing), weight))

    value, slope = mean(logits, labels, np.float32(real))
    np.testing.assert_allclose(value, LOSS(logits[real], labels[real], smoothing).mean(), rtol=1e-6)
    np.testing.assert_array_equal(slope[~real], 0)
    expected = SLOPE(logits[real], labels[real], smoothing) / real.sum()
    np.testing.assert_allclose(slope[real], expected, rtol=1e-5, atol=1e-9)


def test_the_two_weighted_means(x64):
    """Keras divides by the number of examples, PyTorch by the weights of their classes."""
    plain, weights = -log_softmax(LOGITS)[np.arange(8), LABELS], WEIGHTS[LABELS]
    mean = jax.jit(lambda losses, weight=None: ratio(weighted(losses, weight)))
    keras = mean(LOSS(LOGITS, LABELS, None, WEIGHTS))
    np.testing.assert_allclose(keras, (weights * plain).sum() / 8, rtol=1e-13)
    pytorch = mean(LOSS(LOGITS, LABELS), weights)
    np.testing.assert_allclose(pytorch, (weights * plain).sum() / weights.sum(), rtol=1e-13)


def test_sigmoid_cross_entropy_far_out():
    z = jnp.asarray([1e4, 1e4, -1e4, -1e4, -jnp.inf, jnp.inf, -jnp.inf, 0.0])
    t = jnp.asarray([1, 0, 1, 0, 0, 1, 1, 1])
    expected = [0, 1e4, 1e4, 0, 0, 0, np.inf, np.log(2)]
    for settings in ({}, {"label_smoothing": 0.0, "pos_weight": 1.0}):

        @jax.jit
        def losses(z, t, settings):
            return sigmoid_cross_entropy(z, t, **settings)

        np.testing.assert_allclose(losses(z, t, settings), expected, rtol=1e-6)
        slope = jax.jit(jax.grad(lambda z, s: losses(z, t, s).sum()))(z, settings)
        np.testing.assert_allclose(slope, [0, 1, -1, 0, 0, 0, -1, -0.5])
    near = sigmoid_cross_entropy(jnp.asarray([20.0, -20.0]), jnp.asarray([True, False]))
    np.testing.assert_allclose(near, np.full(2, np.exp(-20.0)), rtol=1e-6)  # not 0


def test_two_classes_are_a_sigmoid_of_the_difference(x64):
    z, yes = jnp.asarray(LOGITS[:, :2]), jnp.asarray(LABELS % 2)
    for a in (0.0, 0.1):
        np.testing.assert_allclose(
            sigmoid_cross_entropy(z[:, 1] - z[:, 0], yes, label_smoothing=a),
            softmax_cross_entropy(z, yes, label_smoothing=a),
            rtol=1e-13,
        )


@pytest.mark.parametrize("labels", [(8, 1), (7,), (8, 4), (1,), (), (5,), (8, 5, 1)])
@pytest.mark.parametrize("loss", [softmax_cross_entropy, negative_log_likelihood])
def test_cross_entropy_broadcasts_nothing(loss, labels):
    with pytest.raises(ValueError, match=r"labels must have shape \(8,\).*or \(8, 5\)"):
        loss(jnp.ones((8, 5)), jnp.ones(labels, int))


@pytest.mark.parametrize("targets", [(8,), (8, 5), (1, 1), (1,), ()])
def test_sigmoid_cross_entropy_broadcasts_nothing(targets):
    with pytest.raises(ValueError, match=r"targets must have the shape of the logits, \(8, 1\)"):
        sigmoid_cross_entropy(jnp.ones((8, 1)), jnp.ones(targets))


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_labels_that_are_no_integers_are_refused(dtype):
    with pytest.raises(TypeError, match=f"must be integer classes, got {dtype}"):
        softmax_cross_entropy(jnp.ones((8, 5)), jnp.ones(8, dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
def test_narrow_labels_of_many_classes(dtype):
    """256 classes do not wrap to 0 in the dtype of the labels."""
    classes = min(256, np.iinfo(dtype).max + 1)
    logits, labels = np.zeros((2, classes), np.float32), np.array([0, classes - 1], dtype)
    for settings in ({}, {"label_smoothing": 0.1}, {"class_weights": np.ones(classes)}):
        found = softmax_cross_entropy(logits, labels, **settings, ignore_index=-100)
        np.testing.assert_allclose(found, np.log(classes), rtol=1e-5)


@pytest.mark.parametrize("wide", [np.int64, np.uint64])
def test_labels_that_jax_would_narrow_are_refused_on_the_host(wide):
    labels = np.array([2**32, 1], wide)
    with pytest.raises(ValueError, match=r"labels must hold integers from .* got 4294967296"):
        softmax_cross_entropy(np.zeros((2, 3), np.float32), labels)
    with pytest.raises(ValueError, match=r"targets must hold integers from .* got 4294967296"):
        sigmoid_cross_entropy(np.zeros(2, np.float32), labels)


def test_labels_wider_than_int32_are_no_class(x64):
    labels = np.array([2**32, -(2**33), 1])
    found = LOSS(LOGITS[:3], labels)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False])


def test_a_shape_that_differs_by_an_axis_of_1_says_how_to_mend_it():
    with pytest.raises(ValueError, match=r"got labels of shape \(8, 1\); use labels.ravel\(\)"):
        softmax_cross_entropy(jnp.ones((8, 5)), jnp.ones((8, 1), int))
    with pytest.raises(ValueError, match=r"\(8, 1\), got \(8,\); use targets\[:, None\]"):
        sigmoid_cross_entropy(jnp.ones((8, 1)), jnp.ones(8))
