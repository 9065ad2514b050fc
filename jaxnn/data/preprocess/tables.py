"""Tables of numbers and categories as arrays: missing cells filled, categories one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnn.arguments import check_choice
from jaxnn.data.inputs.columns import Columns, as_categorical, as_columns, missing_in
from jaxnn.data.preprocess.moments import check_fitted, real_numbers

__all__ = ["TableEncoding", "decode", "encode", "fit_encoding"]

FILLS = ("refuse", "mean", "median", "most_frequent")
UNKNOWN = ("refuse", "zeros")


class TableEncoding(NamedTuple):
    """State of `fit_encoding`, of plain Python values.

    Fields:
      columns: the names of the columns, in their order.
      categories: for each column its categories, sorted; None for a column of numbers.
      fill: for each column what stands for a missing cell; None where that is refused.
      unknown: what becomes of a category that was not fitted: "refuse" or "zeros".
    """

    columns: tuple[str, ...]
    categories: tuple[tuple[str, ...] | None, ...]
    fill: tuple[float | str | None, ...]
    unknown: str = "refuse"

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the encoded columns, such as "width" and "colour=red"."""
        names: list[str] = []
        for column, categories in zip(self.columns, self.categories, strict=True):
            names += [column] if categories is None else [f"{column}={c}" for c in categories]
        return tuple(names)


def fit_encoding(
    table: Any,
    *,
    categorical: Sequence[str] | str = (),
    missing: str = "refuse",
    unknown: str = "refuse",
) -> TableEncoding:
    """Fit the categories and the fill values of the training rows of a table.

    Args:
      table: a frame, a dict of columns, or an array (n, columns). Use the training part only.
      categorical: the names of the columns that hold categories, text or numbers, each of which
        becomes one column of zeros and ones for each category; "text": every column of text.
      missing: what becomes of missing cells: "refuse" them; or fill in the column's "mean",
        "median" or "most_frequent" value (of equally frequent ones the smallest), as fitted
        here. In a column of categories each of the three is the most frequent one.
      unknown: what `encode` does with a category that is not among those fitted: "refuse" it, or
        set all of its columns to "zeros".

    Returns:
      The state for `encode` and `decode`.

    Raises:
      TypeError: a column of dates.
      ValueError: a column of text that is not among `categorical`, a missing cell that is
        refused, or a column without any value, each named; an infinite number.

    >>> table = {"width": [0.5, None, 1.5], "colour": ["red", "blue", "red"]}
    >>> state = fit_encoding(table, categorical=["colour"], missing="mean")
    >>> state.outputs, state.fill
    (('width', 'colour=blue', 'colour=red'), (1.0, 'red'))

    Source: practice; the numbers are those of scikit-learn's SimpleImputer and OneHotEncoder.
    """
    check_choice("missing", missing, FILLS)
    check_choice("unknown", unknown, UNKNOWN)
    columns = as_columns("table", table)
    chosen = _categorical(columns, categorical)
    categories: list[tuple[str, ...] | None] = []
    fill: list[float | str | None] = []
    for name, column in columns.items():
        cells = _cells(name, column, name in chosen)
        absent = missing_in(cells)
        _check_missing(name, absent, missing != "refuse")
        there = cells[~absent]
        categories.append(tuple(sorted(set(there))) if name in chosen else None)
        fill.append(None if missing == "refuse" else _fill(there, missing))
    return TableEncoding(tuple(columns), tuple(categories), tuple(fill), unknown)


def encode(state: TableEncoding, table: Any) -> np.ndarray:
    """Make an array of numbers of any part of a table, or of new rows.

    Args:
      state: from `fit_encoding` on the training part.
      table: a frame or a dict of columns, of which the fitted ones are taken by name and others
        are passed over; or an array (n, columns) of the fitted columns in their order.

    Returns:
      float64 array (n, outputs), in the order of `state.outputs`.

    Raises:
      TypeError: another kind of state, or a column of dates.
      ValueError: a column that is not there; a missing cell or an unknown category that is
        refused; text in a column of numbers; an infinite number.

    >>> state = fit_encoding({"colour": ["red", "blue"], "n": [1, 2]}, categorical=["colour"])
    >>> encode(state, {"n": [3], "colour": ["red"]})
    array([[0., 1., 3.]])
    """
    check_fitted(state, TableEncoding)
    columns = as_columns("table", table, state.columns)
    blocks = [
        _encoded(name, columns[name], categories, fill, state.unknown)
        for name, categories, fill in zip(state.columns, state.categories, state.fill, strict=True)
    ]
    return np.concatenate(blocks, axis=1)


def decode(state: TableEncoding, z: Any) -> Columns:
    """Invert `encode`; what was filled stays filled.

    Args:
      state: from `fit_encoding`.
      z: (n, outputs), encoded.

    Returns:
      The columns by name: float64, or text with None where all columns of a category are 0.

    Raises:
      TypeError: another kind of state, or entries that are no real numbers.
      ValueError: another number of columns.

    >>> state = fit_encoding({"colour": ["red", "blue"]}, categorical=["colour"])
    >>> decode(state, np.array([[0.0, 1.0], [0.0, 0.0]]))
    {'colour': array(['red', None], dtype=object)}
    """
    check_fitted(state, TableEncoding)
    z = np.asarray(real_numbers("z", z))
    width = len(state.outputs)
    if z.ndim != 2 or z.shape[1] != width:
        raise ValueError(f"z must have the {width} encoded columns, got shape {z.shape}")
    columns, start = {}, 0
    for name, categories in zip(state.columns, state.categories, strict=True):
        if categories is None:
            columns[name], start = z[:, start].astype(np.float64), start + 1
            continue
        block = z[:, start : start + len(categories)]
        names = np.array([*categories, None], object)
        columns[name] = names[np.where(block.any(1), block.argmax(1), len(categories))]
        start += len(categories)
    return columns


def _categorical(columns: Columns, categorical: Sequence[str] | str) -> set[str]:
    categorical = as_categorical(categorical)
    if isinstance(categorical, str):
        return {name for name, column in columns.items() if column.dtype == object}
    chosen = set(categorical)
    unknown = sorted(map(str, chosen - columns.keys()))
    if unknown:
        raise ValueError(
            f"categorical must name columns among {', '.join(columns)}, got {unknown[0]!r}"
        )
    return chosen


def _cells(name: str, column: np.ndarray, categorical: bool) -> np.ndarray:
    """Return a column as what it is to be: text or None, or finite numbers or NaN."""
    if categorical:
        return column if column.dtype == object else _number_names(column)
    if column.dtype == object:
        row = next((i for i, cell in enumerate(column) if cell is not None), None)
        if row is None:
            return np.full(len(column), np.nan)
        raise ValueError(
            f"column {name!r} must hold numbers, got the text {column[row]!r} at row {row}; "
            "categorical= names the columns of categories"
        )
    infinite = np.isinf(column)
    if infinite.any():
        raise ValueError(f"column {name!r} holds Inf at row {int(infinite.argmax())}")
    return column


def _number_names(column: np.ndarray) -> np.ndarray:
    # Numbers that are whole are written without a point, so that 3 and 3.0 are one category.
    return np.array(
        [
            None if np.isnan(cell) else str(int(cell)) if cell.is_integer() else repr(cell)
            for cell in column.tolist()
        ],
        object,
    )


def _check_missing(name: str, absent: np.ndarray, filled: bool) -> None:
    if absent.all():
        raise ValueError(f"column {name!r} holds no value in the training part; leave it out")
    if absent.any() and not filled:
        raise ValueError(
            f"column {name!r} has no value at row {int(absent.argmax())} ({int(absent.sum())} "
            "missing); missing= drops or fills them"
        )


def _fill(there: np.ndarray, missing: str) -> float | str:
    if there.dtype != object and missing != "most_frequent":
        return float(np.mean(there) if missing == "mean" else np.median(there))
    values, counts = np.unique(there, return_counts=True)
    return values[counts.argmax()].item() if there.dtype != object else values[counts.argmax()]


def _encoded(
    name: str,
    column: np.ndarray,
    categories: tuple[str, ...] | None,
    fill: float | str | None,
    unknown: str,
) -> np.ndarray:
    cells = _cells(name, column, categories is not None)
    absent = missing_in(cells)
    if absent.any():
        if fill is None:
            raise ValueError(
                f"column {name!r} has no value at row {int(absent.argmax())}, and none was fitted "
                "to fill in"
            )
        cells = np.where(absent, np.array(fill, cells.dtype), cells)
    if categories is None:
        return cells[:, None].astype(np.float64)
    number = {category: i for i, category in enumerate(categories)}
    rows = np.array([number.get(cell, -1) for cell in cells])
    if unknown == "refuse" and (rows < 0).any():
        row = int((rows < 0).argmax())
        raise ValueError(
            f"column {name!r} must hold one of {len(categories)} categories, "
            f"{', '.join(map(repr, categories[:8]))}{', …' if len(categories) > 8 else ''}, got "
            f"{cells[row]!r} at row {row}; unknown='zeros' takes others"
        )
    return (rows[:, None] == np.arange(len(categories))).astype(np.float64)
