import importlib.resources

import jax
import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from jaxnn.data import (
    Data,
    apply,
    digits,
    fit_pca,
    from_arrays,
    from_parts,
    invert,
    iterate,
    stream,
)
from jaxnn.data.datasets import read_digits


def parts_of(data):
    return [data.train, data.val, data.test]


def test_stored_digits_are_scikit_learns():
    images, labels = read_digits()
    oracle = load_digits()
    assert images.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(images, oracle.images)
    np.testing.assert_array_equal(labels, oracle.target)


def test_stored_digits_are_small():
    file = importlib.resources.files("jaxnn.data") / "digits.npz"
    assert len(file.read_bytes()) < 50_000


def test_raw_digits_are_all_there_once_with_their_labels():
    data = digits(key=3, preprocess=None)
    assert data.preprocess is None
    got = np.concatenate([np.column_stack([part["x"], part["y"]]) for part in parts_of(data)])
    oracle = load_digits()
    want = np.column_stack([oracle.data, oracle.target])
    assert got.shape == want.shape == (1797, 65)
    np.testing.assert_array_equal(got[np.lexsort(got.T)], want[np.lexsort(want.T)])


def test_digits_are_stratified_float32_and_int32():
    data = digits(key=3)
    counts = np.bincount(load_digits().target)
    for part, fraction in zip(parts_of(data), (0.6, 0.2, 0.2), strict=True):
        assert part["x"].dtype == np.float32 and part["y"].dtype == np.int32
        assert np.all(np.abs(np.bincount(part["y"]) - fraction * counts) < 1)


def test_digits_are_standardized_by_the_training_part_alone():
    data, raw = digits(key=3), digits(key=3, preprocess=None)
    train = raw.train["x"].astype(np.float64)
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1
    for part, raw_part in zip(parts_of(data), parts_of(raw), strict=True):
        np.testing.assert_allclose(part["x"], (raw_part["x"] - mean) / deviation, rtol=1e-6)
        np.testing.assert_array_equal(part["y"], raw_part["y"])
    np.testing.assert_allclose(data.preprocess.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(data.train["x"].mean(0, dtype=np.float64), 0, atol=1e-7)
    # Statistics of its own would make these 0 too.
    assert np.abs(data.val["x"].mean(0)).max() > 0.01
    assert np.abs(data.test["x"].mean(0)).max() > 0.01


def test_steps_per_epoch_cover_the_ragged_end():
    data = Data(train={"x": np.zeros((100, 2)), "y": np.zeros(100)})
    assert [data.steps_per_epoch(size) for size in (1, 33, 50, 100, 101)] == [100, 4, 2, 1, 1]
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got 0"):
        data.steps_per_epoch(0)


def test_a_data_set_takes_all_that_batches_come_from():
    x = np.zeros((4, 2))
    batches = [
        {"x": x, "y": [0, 1, 1, 0]},
        (x.tolist(), [0, 1, 1, 0]),
        [[x, x], x],
    ]
    sources = [stream({"x": x}), iterate(batches), iter(batches), lambda: iter(batches)]
    for part in (*batches, *sources):
        assert Data(part, val=part).val is part
    with pytest.raises(TypeError, match="train must be a batch, or an iterable of batches, got 3"):
        Data(3)
    with pytest.raises(TypeError, match="val: y must hold numbers, got dtype <U1"):
        Data(batches[0], val={"x": x, "y": np.array(["a", "b"])})


@pytest.mark.parametrize("library", ["pandas", "torch"])
def test_a_data_set_takes_what_other_libraries_hold(library):
    other = pytest.importorskip(library)
    x = other.DataFrame(np.zeros((4, 2))) if library == "pandas" else other.zeros(4, 2)
    assert Data({"x": x}).train["x"] is x


def test_arrays_of_a_user_stay_aligned():
    x = np.arange(20.0)[:, None] * np.ones(3)
    data = from_arrays({"left": x, "right": -x}, 10 * np.arange(20), key=jax.random.key(1))
    assert [len(part["y"]) for part in parts_of(data)] == [12, 4, 4]
    for part in parts_of(data):
        np.testing.assert_array_equal(10 * part["x"]["left"][:, 2], part["y"])
        np.testing.assert_array_equal(-10 * part["x"]["right"][:, 0], part["y"])


def test_any_method_is_fitted_on_the_training_part_and_serves_new_inputs():
    x = np.random.default_rng(0).normal(size=(40, 4)) * [5, 1, 1, 1]
    raw = from_arrays(x, key=2)
    for method in (lambda train: fit_pca(train, n_components=2), fit_pca, "pca"):
        data = from_arrays(x, key=2, preprocess=method)
        width = len(data.preprocess.variance)
        centered = raw.train["x"] - raw.train["x"].mean(0)
        values = np.linalg.eigvalsh(centered.T @ centered / 24)[::-1]
        np.testing.assert_allclose(data.preprocess.variance, values[:width], rtol=1e-10)
        for part, raw_part in zip(parts_of(data), parts_of(raw), strict=True):
            assert part["x"].shape == (len(raw_part["x"]), width)
            np.testing.assert_array_equal(part["x"], apply(data.preprocess, raw_part["x"]))
    np.testing.assert_allclose(invert(data.preprocess, data.test["x"]), raw.test["x"], rtol=1e-9)


def test_parts_that_are_split_already():
    train, test = {"x": np.array([[1.0], [3.0]]), "y": np.arange(2)}, {"x": np.array([[7.0]])}
    data = from_parts(train, test=test, preprocess="standardize")
    assert data.val is None
    np.testing.assert_array_equal(data.train["y"], [0, 1])
    np.testing.assert_array_equal(data.test["x"], [[5]])
    np.testing.assert_array_equal(train["x"], [[1], [3]])
    assert from_parts(train, test).train is train
    with pytest.raises(ValueError, match="preprocess='zca' needs a dict in which x is one array"):
        from_parts(np.ones((3, 2)), preprocess="zca")


def test_without_targets_batches_hold_x_alone():
    data = from_arrays(np.arange(10.0), key=0, fractions=(0.7, 0.3))
    assert list(data.train) == list(data.val) == ["x"]
    assert data.test is None
    np.testing.assert_array_equal(
        np.sort(np.concatenate([data.train["x"], data.val["x"]])), np.arange(10.0)
    )


def test_lists_and_jax_arrays_become_numpy_arrays():
    data = from_arrays([[1.0], [2.0]], jax.numpy.array([1, 2]), key=0, fractions=(1,))
    assert type(data.train["x"]) is type(data.train["y"]) is np.ndarray
    np.testing.assert_array_equal(data.train["x"][:, 0], data.train["y"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.ones(4), "fractions": (0.25,) * 4}, ValueError, "at most 3, got"),
        ({"x": np.ones(9), "stratify": True}, ValueError, "stratify=True needs y"),
        ({"x": np.ones(9), "y": np.ones((9, 2)), "stratify": True}, ValueError, r"shape \(9,\)"),
        ({"x": {"a": np.ones(9)}, "preprocess": "zca"}, ValueError, "'zca' needs a dict in which"),
        ({"x": np.ones(9), "preprocess": "scale"}, ValueError, "one of 'standardize', 'mean_ima"),
        ({"x": np.ones((9, 2)), "preprocess": "channel_mean"}, ValueError, "must be images"),
        ({"x": np.ones(9), "y": np.ones(8)}, ValueError, "one length, got x 9, y 8"),
        ({"x": [1.0] * 8 + [np.nan], "preprocess": "pca"}, ValueError, "x holds NaN at row 8"),
        ({"x": scipy.sparse.eye(9, format="csr")}, TypeError, "x must be a dense array, got a cs"),
        ({"x": ["cat"] * 9}, TypeError, "x must hold numbers, got dtype <U3"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        from_arrays(**arguments, key=0)
