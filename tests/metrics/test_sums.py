"""Metrics as pairs: any partition of the data into batches gives the same number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.metrics import accuracy, ratio, weighted


def partitions():
    """Ways to cut 97 rows into batches: whole, ones, with empty ones, ragged."""
    rng = np.random.default_rng(0)
    ragged = np.diff([0, *np.sort(rng.integers(0, 98, 5)), 97]).tolist()
    return [[97], [1] * 97, [64, 33], [0, 97, 0], [30, 30, 30, 7], ragged]


@pytest.mark.slow
@pytest.mark.parametrize("sizes", partitions(), ids=str)
@pytest.mark.parametrize("padded", [False, True], ids=["ragged", "padded"])
def test_any_partition_gives_the_same_bits(sizes, padded):
    """Whole numbers, so that the sums have no rounding to hide behind."""
    rng = np.random.default_rng(1)
    logits = rng.integers(-9, 9, (97, 4)).astype(np.float32)
    labels, values = rng.integers(0, 4, 97), rng.integers(0, 50, 97).astype(np.float32)
    weight = rng.integers(0, 3, 97).astype(np.float32)
    totals = np.zeros(4)
    for size, end in zip(sizes, np.cumsum(sizes), strict=True):
        rows = slice(end - size, end)
        batch = [logits[rows], labels[rows], values[rows], weight[rows]]
        if padded:  # rows of weight 0, whatever else they hold
            batch = [np.concatenate([b, np.ones((5, *b.shape[1:]), b.dtype)]) for b in batch]
            batch[-1][-5:] = 0
        some_logits, some_labels, some_values, some_weight = map(jnp.asarray, batch)
        totals += [
            *accuracy(some_logits, some_labels, some_weight),
            *weighted(some_values, some_weight),
        ]
    correct = logits.argmax(-1) == labels
    expected = [weight @ correct, weight.sum(), weight @ values, weight.sum()]
    np.testing.assert_array_equal(totals, expected)
    np.testing.assert_allclose(
        ratio(tuple(jnp.asarray(totals[:2]))), np.average(correct, weights=weight), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "weight_shape"),
    [((6,), (6,)), ((6, 5), (6,)), ((6, 5), (6, 5)), ((6, 5, 2), (6, 5)), ((6, 1), (6,))],
)
def test_weighted_is_its_formula(shape, weight_shape, x64):
    rng = np.random.default_rng(2)
    values, weight = rng.normal(size=shape), rng.random(weight_shape)
    spread = weight.reshape(weight_shape + (1,) * (len(shape) - len(weight_shape)))
    spread = np.broadcast_to(spread, shape)
    total, count = weighted(jnp.asarray(values), jnp.asarray(weight))
    np.testing.assert_allclose(total, np.sum(values * spread), rtol=1e-12)
    np.testing.assert_allclose(count, spread.sum(), rtol=1e-12)


def test_no_weight_is_a_weight_of_1():
    values = jnp.arange(12.0).reshape(3, 4)
    for shape in ((3,), (3, 4)):
        pair = weighted(values, jnp.ones(shape))
        np.testing.assert_array_equal(pair, weighted(values))
    np.testing.assert_array_equal(weighted(values), (66.0, 12.0))


@pytest.mark.parametrize(
    ("shape", "weight_shape"), [((6,), (5,)), ((6, 5), (5,)), ((6,), (6, 1)), ((6, 5), (6, 1))]
)
def test_a_weight_that_would_broadcast_otherwise_is_refused(shape, weight_shape):
    with pytest.raises(ValueError, match="weight must have the leading axes of the losses"):
        weighted(jnp.ones(shape), jnp.ones(weight_shape))


def test_nothing_counted_is_nan_with_a_gradient_of_0():
    """Not a loss of 0; a shard of a ragged batch may hold no real row."""

    def mean(values, weight):
        return ratio(weighted(values, weight))

    values = jnp.asarray([1.0, 2.0])
    for weight in (jnp.zeros(2), jnp.ones(2)):
        expected = (1.5 if weight[0] else np.nan, np.asarray(weight) / 2)
        value, slope = jax.value_and_grad(mean)(values, weight)
        np.testing.assert_equal(float(value), expected[0])
        np.testing.assert_array_equal(slope, expected[1])
    np.testing.assert_array_equal(jax.vmap(mean)(jnp.ones((2, 2)), jnp.eye(2) * 0), [np.nan] * 2)


def test_an_infinite_or_nan_loss_is_not_hidden_by_its_neighbours():
    assert np.isnan(ratio(weighted(jnp.asarray([1.0, jnp.nan]), jnp.ones(2))))
    assert np.isinf(ratio(weighted(jnp.asarray([1.0, jnp.inf]), jnp.ones(2))))


def test_accuracy_of_integer_one_hot_and_soft_labels():
    logits = jnp.asarray([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    labels = jnp.asarray([0, 0, 2, 1])
    soft = 0.7 * jax.nn.one_hot(labels, 3) + 0.1
    for target in (labels, labels.astype(jnp.uint8), jax.nn.one_hot(labels, 3), soft):
        np.testing.assert_array_equal(accuracy(logits, target), (3.0, 4.0))
    np.testing.assert_array_equal(
        accuracy(logits, labels, jnp.asarray([0.0, 1.0, 1.0, 0.5])), (1.5, 2.5)
    )


def test_accuracy_per_token_leaves_padding_out():
    logits = jax.nn.one_hot(jnp.asarray([[0, 1, 2], [2, 0, 0]]), 3)
    labels = jnp.asarray([[0, 2, -1], [2, -1, -1]])
    weight = jnp.asarray([[1, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(accuracy(logits, labels, weight), (2.0, 3.0))


def test_counts_in_half_precision_logits_are_whole():
    """In bfloat16 256 + 1 is 256: a sum of ones would stop there."""
    logits = jnp.tile(jnp.asarray([[0.0, 1.0]], jnp.bfloat16), (5001, 1))
    total, count = accuracy(logits, jnp.ones(5001, int), jnp.ones(5001, jnp.bfloat16))
    assert (float(total), float(count)) == (5001.0, 5001.0)
