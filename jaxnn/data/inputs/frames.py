"""Data frames as arrays, column by column, without importing the library that made them.

A frame is any object with `columns`, `to_numpy` and columns by name, such as those of pandas and
polars.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["column_names", "column_of", "frame_numbers", "is_frame", "is_index_name", "is_missing"]


def is_frame(values: Any) -> bool:
    """Say whether `values` is a table with named columns."""
    return hasattr(values, "columns") and hasattr(values, "to_numpy")


def column_names(name: str, frame: Any) -> tuple[str, ...]:
    """Return the names of the columns as text; refuse names that are there twice.

    Raises:
      ValueError: no columns, or a name of several columns.
    """
    names = tuple(str(column) for column in frame.columns)
    if not names:
        raise ValueError(f"{name} must have at least one column, got a frame without any")
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise ValueError(f"{name} must have one column of each name, got {twice[0]!r} twice")
    return names


def is_index_name(name: str) -> bool:
    """Say whether a first column of this name is an index that was written along with a table.

    >>> is_index_name(""), is_index_name("Unnamed: 0"), is_index_name("id")
    (True, True, False)
    """
    return name in ("", "Unnamed: 0")


def column_of(frame: Any, index: int) -> np.ndarray:
    """Return a column by its place, as an array (n,) of numbers, text or objects.

    Columns of a nullable dtype, or of objects that all are numbers, become numbers.
    """
    column = np.asarray(frame[list(frame.columns)[index]])
    if column.dtype != object:
        return column
    values = column.tolist()
    if values and all(isinstance(value, (bool, int, float, np.number)) for value in values):
        return np.array(values)
    return column


def is_missing(value: Any) -> bool:
    """Say whether a cell is missing: None, NaN, or a table library's own mark.

    >>> [is_missing(value) for value in (None, float("nan"), 0, "")]
    [True, True, False, False]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def frame_numbers(name: str, frame: Any) -> np.ndarray:
    """Return a frame of numbers and booleans as one array (n, columns).

    Raises:
      TypeError: a column of text, dates or objects.
      ValueError: a missing value in a column of objects.
    """
    columns = [
        _numbers(f"{name}, column {column!r},", column_of(frame, index))
        for index, column in enumerate(column_names(name, frame))
    ]
    return np.stack(columns, axis=1)


def _numbers(place: str, column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "biuf":
        return column
    missing = [row for row, value in enumerate(column.tolist()) if is_missing(value)]
    if missing and column.dtype == object:
        raise ValueError(
            f"{place} must hold numbers, got a missing value at row {missing[0]} (of "
            f"{len(missing)}); jaxnn.data.from_frame drops or fills them"
        )
    what = "text" if column.dtype == object or column.dtype.kind == "U" else str(column.dtype)
    raise TypeError(
        f"{place} must hold numbers, got {what}; jaxnn.data.from_frame makes numbers of categories"
    )
