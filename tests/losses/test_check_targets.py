"""What a loss says of the data's targets before anything is compiled."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses as jaxnn_losses
from jaxnn.losses import check_targets, softmax_cross_entropy, squared_error

ONE_HOT = np.eye(3)[[2, 0, 1, 2]]


def check(targets, weight=None, shape=(4, 3), loss=softmax_cross_entropy):
    outputs = jax.ShapeDtypeStruct(shape, jnp.float32)
    check_targets(loss, "train: y", outputs, targets, weight)


@pytest.mark.parametrize(
    "targets",
    [
        np.array([0, 1, 2, 0]),
        np.array([0, 1, 2, 0], np.uint8),
        jnp.array([0, 1, 2, 0]),
        ONE_HOT,
        0.9 * ONE_HOT + 0.1 / 3,
        (0.9 * ONE_HOT + 0.1 / 3).astype(np.float16),
        np.asarray(ONE_HOT, int),
    ],
    ids=["int", "uint8", "jax", "one-hot", "soft", "float16", "integer one-hot"],
)
def test_good_targets_pass(targets):
    check(targets)
    check(targets, loss=partial(softmax_cross_entropy))


@pytest.mark.parametrize("bad", [3, 7])
def test_a_class_that_the_model_has_no_output_for(bad):
    with pytest.raises(ValueError, match=f"train: y must hold classes from 0 to 2.*got {bad}"):
        check(np.array([0, 1, bad, 0]))


@pytest.mark.parametrize("bad", [-1, -100])
def test_a_negative_class(bad):
    with pytest.raises(ValueError, match=f"train: y must hold classes from 0 to 2, got {bad}"):
        check(np.array([0, 1, bad, 0]))


def test_a_partial_of_a_loss_checks_too():
    with pytest.raises(ValueError, match="from 0 to 2"):
        check(np.array([0, 1, 2, 3]), loss=partial(softmax_cross_entropy))


@pytest.mark.parametrize(
    "row", [[1, 1, 0], [0, 0, 0], [0.5, 0.4, 0], [1.5, -0.5, 0], [np.nan, 0.5, 0.5]], ids=str
)
def test_a_row_that_is_no_distribution_is_named(row):
    soft = ONE_HOT.copy()
    soft[2] = row
    message = r"train: y must hold a probability for each class.*\(row 2\)"
    with pytest.raises(ValueError, match=message):
        check(soft)


@pytest.mark.parametrize("padding", [-1, 3, 255])
def test_targets_of_weight_0_may_hold_anything(padding):
    weight = np.array([1, 1, 0, 0.5])
    check(np.array([0, 1, padding, 2]), weight)
    with pytest.raises(ValueError, match="from 0 to 2"):  # but not the others
        check(np.array([0, padding, padding, 2]), weight)


def test_tokens_of_weight_0_may_hold_anything():
    labels = np.array([[0, 1, -1], [4, -1, -1]])
    check(labels, np.array([[1, 1, 0], [1, 0, 0]]), shape=(2, 3, 5))
    check(np.array([[0, 1, 3], [-1, -1, -1]]), np.array([1, 0]), shape=(2, 3, 5))
    with pytest.raises(ValueError, match="from 0 to 4"):
        check(labels, np.array([[1, 1, 1], [1, 0, 0]]), shape=(2, 3, 5))


@pytest.mark.parametrize("padding", [[0, 0, 0], [1, 1, 1], [-1, -1, -1], [0, 0, 1]], ids=str)
def test_soft_rows_of_weight_0_may_hold_anything(padding):
    soft = ONE_HOT.copy()
    soft[3] = padding
    check(soft, np.array([1, 1, 1, 0]))
    soft[0] = 0.2
    with pytest.raises(ValueError, match=r"\(row 0\)"):
        check(soft, np.array([1, 1, 1, 0]))


@pytest.mark.parametrize("targets", [np.full(4, -1), ONE_HOT * 0], ids=["classes", "soft"])
def test_where_nothing_counts_nothing_is_refused(targets):
    check(targets, np.zeros(4))


def test_shapes_and_kinds_are_said_before_anything_is_compiled():
    refused = {
        r"must have shape \(4,\) .* got \(4, 1\); use y.ravel\(\)": (np.ones((4, 1), int), {}),
        "must be integer classes, got float64": (np.array([0, 1.5, 1, 0]), {}),
        "must be integer classes, got bool": (np.array([True] * 4), {}),
        r"outputs, \(n, 1\), got \(4,\); use y\[:, None\]": (
            np.ones(4),
            {"loss": squared_error, "shape": (1, 1)},
        ),
        "must hold real numbers, got dtype complex128": (
            np.ones((4, 3)) * 1j,
            {"loss": squared_error},
        ),
        "must be -1": (np.ones((4, 3)) * 0, {"loss": jaxnn_losses.hinge}),
    }
    for message, (targets, settings) in refused.items():
        with pytest.raises((TypeError, ValueError), match=message):
            check(targets, **settings)


def test_ignored_labels_are_not_checked():
    ignoring = partial(softmax_cross_entropy, ignore_index=-100)
    check(np.array([0, -100, 2, 0]), loss=ignoring)
    check(np.full(4, -100), loss=ignoring)
    with pytest.raises(ValueError, match="from 0 to 2, got -1"):
        check(np.array([0, -100, -1, 0]), loss=ignoring)


def test_losses_without_a_check_take_anything():
    check(np.full((4, 3), -7.0), loss=squared_error)
    check(np.array([-1]), loss=lambda outputs, targets: outputs)


BINARY = jaxnn_losses.sigmoid_cross_entropy


@pytest.mark.parametrize(
    "targets", [np.eye(3), np.eye(3) == 1, np.eye(3, dtype=np.uint8), np.full((3, 3), 0.3)], ids=str
)
def test_yes_no_and_between_pass(targets):
    check(targets, loss=BINARY, shape=(3, 3))


@pytest.mark.parametrize("bad", [-1.0, 2, 1.5, np.nan])
def test_what_is_no_probability_of_a_yes(bad):
    targets = np.array([1.0, 0.0, bad, 0.0])
    with pytest.raises(ValueError, match=f"train: y must be between 0 .* got {bad}"):
        check(targets, loss=partial(BINARY, label_smoothing=0.1), shape=(4,))
    check(targets, np.array([1, 1, 0, 1]), loss=BINARY, shape=(4,))


def test_settings_are_checked_also_where_nothing_counts():
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        check(np.zeros(4, int), np.zeros(4), loss=partial(softmax_cross_entropy, label_smoothing=2))


def test_an_own_loss_may_declare_its_check():
    def check_margin(name, outputs, targets, counts, *, margin=1.0):
        if (np.abs(targets[counts]) != margin).any():
            raise ValueError(f"{name} must be ±{margin}")

    def hinge(outputs, targets, margin=1.0):
        return jnp.maximum(0, margin - outputs * targets)

    hinge.check = check_margin
    check(np.array([-2.0, 2.0]), loss=partial(hinge, margin=2.0), shape=(2,))
    with pytest.raises(ValueError, match=r"train: y must be ±1.0"):
        check(np.array([-2.0, 2.0]), loss=hinge, shape=(2,))
