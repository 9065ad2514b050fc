import jax
import numpy as np
import pytest

from jaxnn.data import fit_standardize, k_fold_data, k_fold_indices
from jaxnn.keys import stream

LABELS = np.random.default_rng(5).choice(4, size=40, p=[0.4, 0.3, 0.15, 0.15])


@pytest.mark.parametrize(("n", "k"), [(40, 5), (40, 3), (7, 7), (40, 2)])
def test_each_example_is_in_val_once_and_never_in_both(n, k):
    folds = k_fold_indices(n, k, key=3)
    assert len(folds) == k
    everything = np.concatenate([val for _, val in folds])
    np.testing.assert_array_equal(np.sort(everything), np.arange(n))
    sizes = [len(val) for _, val in folds]
    assert max(sizes) - min(sizes) <= 1
    for train, val in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(n))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_within_every_class_too(k):
    folds = k_fold_indices(40, k, key=0, labels=LABELS)
    counts = np.array([np.bincount(LABELS[val], minlength=4) for _, val in folds])
    np.testing.assert_array_equal(counts.sum(0), np.bincount(LABELS))
    assert np.all(np.ptp(counts, axis=0) <= 1)
    assert np.ptp(counts.sum(1)) <= 1
    train, _ = folds[0]
    assert np.sum(np.diff(LABELS[train]) != 0) > 5  # shuffled, not sorted by class


def test_the_draw_is_the_permutation_at_its_address():
    order = jax.random.permutation(stream(jax.random.key(4), "k_fold"), 7)
    for fold, (train, val) in enumerate(k_fold_indices(7, 3, key=4)):
        np.testing.assert_array_equal(val, order[fold::3])
        np.testing.assert_array_equal(train, np.delete(order, np.s_[fold::3]))


def test_the_same_key_gives_the_same_folds():
    def lists(key):
        return [
            (a.tolist(), b.tolist()) for a, b in k_fold_indices(40, 4, key=key, labels=LABELS > 0)
        ]

    assert lists(7) == lists(jax.random.key(7)) == lists(jax.random.PRNGKey(7))
    assert lists(7) != lists(8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 5, "k": 6}, "k must be from 2 to the number of examples, 5, got 6"),
        ({"n": 5, "k": 1}, "k must be from 2 .* got 1"),
        ({"n": 5, "k": 2.5}, "k must be a positive integer, got 2.5"),
        ({"n": 0, "k": 2}, "n must be a positive integer, got 0"),
        ({"n": 5, "k": 3, "labels": [0, 0, 0, 1, 1]}, "size of the smallest class, 2, got 3"),
        ({"n": 5, "k": 2, "labels": [0, 1]}, r"labels must have shape \(5,\)"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        k_fold_indices(**arguments, key=0)


def test_folds_of_a_batch_are_its_rows():
    x = np.arange(40.0)[:, None] * np.ones(2)
    batch = {"x": x, "y": LABELS, "weight": None}
    folds = k_fold_data(batch, 3, key=1, stratify=True)
    indices = k_fold_indices(40, 3, key=1, labels=LABELS)
    for data, (train, val) in zip(folds, indices, strict=True):
        np.testing.assert_array_equal(data.train["x"], x[train])
        np.testing.assert_array_equal(data.val["y"], LABELS[val])
        assert data.test is None and data.preprocess is None


def test_each_fold_is_preprocessed_by_its_own_training_part():
    x = np.random.default_rng(0).normal(3, 2, size=(40, 2))
    folds = k_fold_data({"x": jax.numpy.asarray(x)}, 5, key=2, preprocess="standardize")
    for data, (train, val) in zip(folds, k_fold_indices(40, 5, key=2), strict=True):
        mean, deviation = x[train].mean(0), x[train].std(0)
        np.testing.assert_allclose(data.preprocess.mean, mean, rtol=1e-5)
        np.testing.assert_allclose(data.train["x"], (x[train] - mean) / deviation, atol=1e-5)
        np.testing.assert_allclose(data.val["x"], (x[val] - mean) / deviation, atol=1e-5)
    assert len({float(data.preprocess.mean[0]) for data in folds}) == 5


def test_batches_of_any_tree():
    folds = k_fold_data((np.arange(7), {"a": np.arange(7)}), 2, key=0)
    for data in folds:
        np.testing.assert_array_equal(data.val[0], data.val[1]["a"])


@pytest.mark.parametrize(
    ("batch", "arguments", "message"),
    [
        ({"x": np.ones(6)}, {"stratify": True}, "stratify=True needs a batch with y"),
        (np.ones(6), {"stratify": True}, "stratify=True needs a batch with y"),
        (np.ones(6), {"preprocess": "pca"}, "preprocess='pca' needs a dict in which x is one"),
        ({"x": {"a": np.ones(6)}}, {"preprocess": fit_standardize}, "needs a dict in which x"),
        ({"x": np.ones(6), "y": np.ones(5)}, {}, "one length, got x 6, y 5"),
    ],
)
def test_batches_that_cannot_be_folded(batch, arguments, message):
    with pytest.raises(ValueError, match=message):
        k_fold_data(batch, 2, key=0, **arguments)
