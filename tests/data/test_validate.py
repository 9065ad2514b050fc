from typing import NamedTuple

import flax.core
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from jaxnn.data.validate import as_dense, check_batch, check_batch_size, check_same_layout


class Weighing(NamedTuple):
    image: np.ndarray
    weight: np.ndarray  # in kilograms: only a mapping's weights are the loss's


def batch(n=6, **changes):
    return {"x": np.ones((n, 3), np.float32), "y": np.arange(n), **changes}


@pytest.mark.parametrize(
    "good",
    [
        batch(),
        batch(x=jnp.ones((6, 3), jnp.bfloat16)),
        batch(weight=np.array([1, 1, 1, 1, 0, 0.5])),
        batch(weight=np.array([True] * 6)),
        batch(y=np.ones((6, 4), int), weight=np.ones((6, 4))),
        batch(y=np.ones((6, 4, 7)), weight=np.ones((6, 4))),
        {"x": np.ones((6, 5, 2)), "weight": np.ones((6, 5))},
        {"x": {"a": np.ones(6), "b": np.ones((6, 1))}, "y": None},
        Weighing(np.ones((6, 8, 8), np.uint8), -np.ones((6, 2, 2))),
        np.ones((6, 2), complex),
    ],
)
def test_good_batches_give_their_length(good):
    assert check_batch("train", good) == 6


NAN_AT_17_3 = np.ones((20, 5), np.float32)
NAN_AT_17_3[[17, 18], [3, 0]] = np.nan, np.inf


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({}, r"^train must hold at least one array, got \{\}$"),
        ({"x": None}, "train must hold at least one array"),
        (batch(y=3), "train: y must be an array whose first axis counts .* the single value 3$"),
        ({"x": [[1, 2]]}, "train: x/0/0 must be an array whose first axis"),
        (batch(y=np.arange(5)), "^train must have arrays of one length, got x 6, y 5$"),
        (
            {"x": {"a": np.ones(6), "b": np.ones(4)}, "y": np.ones(6)},
            "one length, got x/a 6, x/b 4, y 6$",
        ),
        (batch(0), "^train must hold at least one example, got 0$"),
        (
            {"x": NAN_AT_17_3},
            r"^train: x holds NaN at row 17, column 3 \(2 values are not finite\); "
            "clean or drop these rows before training$",
        ),
        (NAN_AT_17_3, "^train holds NaN at row 17, column 3"),
        ({"x": np.array([0, 1j * np.nan])}, "x holds NaN at row 1 "),
        (batch(y=np.array([0, 1, -np.inf, 3, 4, 5])), r"y holds Inf at row 2 \(1 value is not"),
        (batch(x=np.full((6, 2, 2), np.nan)), r"x holds NaN at index \(0, 0, 0\) \(24 values"),
        (
            batch(x=jnp.ones((6, 3), jnp.bfloat16).at[4, 1].set(jnp.nan)),
            "x holds NaN at row 4, column 1",
        ),
        (
            batch(weight=np.array([1, 1, -0.5, 1, 1, -1])),
            "weight must be at least 0, got -0.5 at",
        ),
        (batch(weight=np.array([1, 1, 1, 1, 1, np.nan])), "weight holds NaN at row 5"),
        (batch(weight=np.ones((6, 3))), r"weight must be .*\(6,\), .*y \(6,\), got shape \(6, 3\)"),
        (batch(y=np.ones((6, 4)), weight=np.ones((6, 3))), r"axes of y \(6, 4\), got shape"),
        (
            batch(y=np.ones((6, 4, 2)), weight=np.ones((6, 4, 2))),
            r"weight must be .* got shape \(6, 4, 2\)",
        ),
        (batch(weight=np.ones(5)), "one length, got weight 5, x 6, y 6$"),
    ],
)
def test_bad_values_and_shapes_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        check_batch("train", bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            batch(y=np.array([1, "a", None] * 2, object)),
            "train: y must hold numbers, got dtype obj",
        ),
        (batch(y=np.array(["ant"] * 6)), "train: y must hold numbers, got dtype <U3"),
        (batch(y=np.zeros(6, "datetime64[s]")), "train: y must hold numbers, got dtype datetime64"),
        (batch(x=scipy.sparse.eye(6, format="csr")), "train: x must be a dense array, got a cs"),
    ],
)
def test_what_are_no_numbers_is_refused(bad, message):
    with pytest.raises(TypeError, match=message):
        check_batch("train", bad)


def test_arrays_pass_as_they_are():
    host, device = np.ones(3), jnp.ones(3)
    assert as_dense("x", host) is host
    assert as_dense("x", device) is device


@pytest.mark.parametrize(
    ("train", "other"),
    [
        (batch(6), batch(4)),
        (batch(6), batch(6, x=np.ones((6, 3), np.float64), y=np.arange(6, dtype=np.uint8))),
        (batch(6, weight=np.ones(6)), batch(4)),
        (batch(6), batch(4, weight=np.ones(4))),
        (flax.core.freeze(batch(6)), flax.core.freeze(batch(4, weight=np.ones(4)))),
        (batch(6, weight=None), batch(4, weight=np.ones(4))),
        (np.ones((6, 2)), np.ones((1, 2))),
    ],
)
def test_parts_of_one_layout(train, other):
    check_same_layout(train, other, "val")
    check_same_layout(other, train, "val")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (batch(x=np.ones((6, 4), np.float32)), r"^val: x .* \(3,\) .* got \(4,\) floating$"),
        (batch(x=np.ones((6, 3), int)), r"^val: x .*\(3,\) floating .* got \(3,\) integer$"),
        (batch(y=np.ones(6, bool)), r"^val: y .*\(\) integer .* got \(\) boolean$"),
        ({"x": batch()["x"]}, "^val must hold the arrays that train holds, x, y, got x$"),
        (batch(z=np.ones(6)), "that train holds, x, y, got x, y, z$"),
    ],
)
def test_parts_of_another_layout(changed, message):
    with pytest.raises(ValueError, match=message):
        check_same_layout(batch(), changed, "val")


def test_another_tree_over_the_same_paths():
    a = np.ones(6)
    with pytest.raises(ValueError, match="val must have the tree structure of train"):
        check_same_layout({"x": [a, a]}, {"x": (a, a)}, "val")


def test_weights_that_both_parts_hold_are_compared():
    train = {"x": np.ones((6, 5)), "weight": np.ones((6, 5))}
    with pytest.raises(ValueError, match="val: weight must be like train"):
        check_same_layout(train, {"x": np.ones((6, 5)), "weight": np.ones(6)}, "val")


def test_batch_size():
    assert check_batch_size(np.int64(100), 100) == 100
    with pytest.raises(ValueError, match=r"of training examples, 100, got 101$"):
        check_batch_size(101, 100)
    for value in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="batch_size must be a positive integer"):
            check_batch_size(value, 100)
