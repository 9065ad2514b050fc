"""Tables: missing cells and categories as fitted on the training part, frames, scaled targets."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from jaxnn.data import apply, encode, fit_encoding, from_arrays, from_csv, from_frame, invert
from jaxnn.data.inputs.batch import as_batch

pandas = pytest.importorskip("pandas")
RNG = np.random.default_rng(0)
N = 60
FRAME = pandas.DataFrame(
    {
        "width": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
        "colour": np.where(RNG.random(N) < 0.1, None, RNG.choice(["red", "blue", "green"], N)),
        "flag": RNG.random(N) < 0.5,
        "price": RNG.normal(1e5, 3e4, N),
    }
)


def _text(frame):
    return frame[["colour"]].fillna(np.nan).to_numpy(object)


def written(tmp_path, frame, **arguments):
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False, **arguments)
    return path


@pytest.mark.parametrize("missing", ["mean", "median", "most_frequent"])
def test_filled_and_encoded_as_by_scikit_learn(missing):
    train, other = FRAME[:40], FRAME[40:]
    state = fit_encoding(train.drop(columns="price"), categorical=["colour"], missing=missing)
    numbers = SimpleImputer(strategy=missing).fit(train[["width"]])
    text = SimpleImputer(strategy="most_frequent").fit(_text(train))
    one_hot = OneHotEncoder(sparse_output=False).fit(text.transform(_text(train)))
    for part in (train, other):
        want = [
            numbers.transform(part[["width"]]),
            one_hot.transform(text.transform(_text(part))),
            part[["flag"]].to_numpy(float),
        ]
        np.testing.assert_allclose(encode(state, part), np.concatenate(want, axis=1), rtol=1e-15)
        shuffled = part[["flag", "price", "colour", "width"]]  # by name, whatever the order
        np.testing.assert_array_equal(encode(state, shuffled), encode(state, part))


def test_csv_and_frame_agree_and_serve_new_rows(tmp_path):
    arguments = {
        "key": 1,
        "target": "price",
        "categorical": "text",
        "missing": "median",
        "preprocess": "standardize",
        "preprocess_y": "standardize",
    }
    frame = FRAME.assign(flag=FRAME["flag"].astype(int))
    one, other = from_frame(frame, **arguments), from_csv(written(tmp_path, frame), **arguments)
    assert one.columns == other.columns == (
        "width", "colour=blue", "colour=green", "colour=red", "flag"
    )  # fmt: skip
    for part in ("train", "val", "test"):
        got, want = getattr(other, part), getattr(one, part)
        np.testing.assert_allclose(got["x"], want["x"], rtol=1e-12)
        np.testing.assert_allclose(got["y"], want["y"], rtol=1e-12)
    np.testing.assert_allclose(one.train["x"].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(one.train["y"].std(), 1)
    prices = np.concatenate([invert(one.preprocess_y, getattr(one, p)["y"]) for p in PARTS])
    np.testing.assert_allclose(np.sort(prices), np.sort(FRAME["price"]))
    rows = np.concatenate([one.train["x"], one.val["x"], one.test["x"]])
    encoded = apply(one.preprocess, frame)
    np.testing.assert_allclose(encoded[np.lexsort(encoded.T)], rows[np.lexsort(rows.T)])


PARTS = ("train", "val", "test")


def test_rows_with_missing_cells_are_dropped(tmp_path):
    whole = FRAME.dropna()
    path = written(tmp_path, FRAME, na_rep="NA")
    for data in (
        from_frame(FRAME, key=0, categorical=["colour"], missing="drop"),
        from_csv(path, key=0, categorical=["colour", "flag"], missing="drop"),
    ):
        assert sum(len(getattr(data, part)["x"]) for part in PARTS) == len(whole)


def test_categories_that_were_not_fitted():
    seen, new = {"colour": ["red", "blue"]}, {"colour": ["red", "black"]}
    state = fit_encoding(seen, categorical=["colour"])
    with pytest.raises(ValueError, match=r"column 'colour' must hold one of 2 .* 'black' at row 1"):
        encode(state, new)
    zeros = fit_encoding(seen, categorical=["colour"], unknown="zeros")
    np.testing.assert_array_equal(encode(zeros, new), [[0, 1], [0, 0]])
    assert invert(zeros, encode(zeros, new))["colour"].tolist() == ["red", None]


@pytest.mark.parametrize(
    ("frame", "arguments", "error", "message"),
    [
        (FRAME, {}, ValueError, "column 'width' has no value at row"),
        (FRAME, {"missing": "mean"}, ValueError, "column 'colour' must hold numbers, got the text"),
        (FRAME, {"target": "cost"}, ValueError, "target must name a column among width, colour"),
        (FRAME, {"missing": "zero"}, ValueError, "missing must be one of 'refuse', 'mean'"),
        (FRAME, {"categorical": ["size"]}, ValueError, "categorical must name columns .* 'size'"),
        (np.ones((3, 2)), {}, TypeError, "frame must be a data frame or a dict of columns"),
        (
            pandas.DataFrame({"t": pandas.date_range("2020", periods=4)}),
            {},
            TypeError,
            "column 't', must hold numbers or text, got dtype datetime64",
        ),
    ],
)
def test_refusals_name_the_column(frame, arguments, error, message):
    with pytest.raises(error, match=message):
        from_frame(frame, key=0, **arguments)


def test_frames_are_inputs_and_errors_name_their_columns():
    numbers = FRAME[["flag", "price"]]
    data = from_arrays(numbers, FRAME["flag"], key=0)
    assert data.columns == ("flag", "price") and data.train["x"].dtype == np.float64
    batch = as_batch("train", (numbers, FRAME["price"]))
    np.testing.assert_array_equal(batch["x"], numbers.to_numpy(float))
    with pytest.raises(ValueError, match="x, column 'colour', must hold numbers, got a missing"):
        as_batch("train", {"x": FRAME})
    with pytest.raises(TypeError, match="column 'colour', must hold numbers, got text"):
        as_batch("train", {"x": FRAME.dropna()})


def test_a_data_set_is_shown_on_one_bounded_line():
    wide = pandas.DataFrame(np.ones((50, 300)), columns=[f"c{i}" * 20 for i in range(300)])
    shown = repr(from_frame(wide, key=0))
    assert "\n" not in shown and len(shown) < 600 and "300 columns" in shown
