"""Make data sets of data frames."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxnn.arguments import check_text
from jaxnn.data.datasets import Data
from jaxnn.data.inputs.columns import Columns, as_categorical, as_columns, missing_in, rows_of
from jaxnn.data.inputs.frames import is_frame, is_index_name
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.tables.assembly import check_choices, from_columns

__all__ = ["from_frame"]


def from_frame(
    frame: Any,
    *,
    key: Any,
    target: str | None = None,
    categorical: Sequence[str] | str = (),
    missing: str = "refuse",
    unknown: str = "refuse",
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> Data:
    """Split a data frame at random into train, val and test.

    Args:
      frame: of pandas, of polars, or a dict of columns; numbers, booleans and text. The index of
        a pandas frame is no column, and a first column without a name is left out, with a
        warning.
      key: typed key, raw key or integer seed of the split.
      target: the name of the column of targets; None gives batches of `x` alone. Text becomes
        classes, numbered in sorted order and named in `Data.classes`; whole numbers below 2³¹
        become int32; others float64.
      categorical: as in `from_csv`.
      missing: as in `from_csv`; a cell is missing that is None, NaN, or the frame's own mark.
      unknown: as in `from_csv`.
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`.
      preprocess: as in `from_arrays`, of the encoded columns.
      preprocess_y: as in `from_arrays`.

    Returns:
      The parts, as `from_arrays` gives them; `x` is (n, columns) float64. `Data.preprocess`
      takes frames of the same columns, in any order.

    Raises:
      TypeError: no frame, or a column of dates.
      ValueError: a column of text that is not among `categorical`, a missing cell that is
        refused, or another column that cannot be used, each named; and as `from_arrays`.

    Warns:
      UserWarning: the first column has no name.

    >>> frame = {"width": [0.5, None, 1.5] * 4, "colour": ["red", "blue", "red"] * 4}
    >>> data = from_frame(frame, key=0, categorical=["colour"], missing="median")
    >>> data.columns, data.val["x"].shape
    (('width', 'colour=blue', 'colour=red'), (3, 3))
    """
    check_choices(missing, unknown)
    categorical = as_categorical(categorical)
    if not is_frame(frame) and not isinstance(frame, dict):
        raise TypeError(
            f"frame must be a data frame or a dict of columns, got a {type(frame).__name__}; "
            "from_arrays takes arrays"
        )
    if target is not None:
        check_text("target", target)
    columns = _without_index(as_columns("frame", frame), target)
    y_column = None
    if target is not None:
        if target not in columns:
            raise ValueError(
                f"target must name a column among {', '.join(columns)}, got {target!r}"
            )
        y_column = columns.pop(target)
        if not columns:
            raise ValueError(f"frame must have a column beside the target, {target!r}")
    if missing == "drop":
        absent = np.any([missing_in(c) for c in (*columns.values(), y_column) if c is not None], 0)
        if absent.all():
            raise ValueError("frame must have a row without a missing cell, got none")
        columns = rows_of(columns, ~absent)
        y_column = None if y_column is None else y_column[~absent]
    y, classes = (None, None) if y_column is None else _targets(str(target), y_column)
    data = from_columns(
        columns,
        y,
        categorical=categorical,
        missing=missing,
        unknown=unknown,
        key=key,
        fractions=fractions,
        stratify=stratify,
        preprocess=preprocess,
        preprocess_y=preprocess_y,
    )
    return replace(data, classes=classes)


def _without_index(columns: Columns, target: str | None) -> Columns:
    first = next(iter(columns))
    if len(columns) == 1 or first == target or not is_index_name(first):
        return columns
    warnings.warn(
        f"frame: the first column, {first!r}, has no name, as an index that was written along with "
        "the table, and is left out; rename it to keep it",
        UserWarning,
        stacklevel=3,
    )
    return {name: column for name, column in columns.items() if name != first}


def _targets(name: str, column: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None]:
    absent = missing_in(column)
    if absent.any():
        raise ValueError(
            f"target {name!r} has no value at row {int(absent.argmax())} ({int(absent.sum())} "
            "missing); missing='drop' leaves such rows out"
        )
    if column.dtype == object:
        classes, numbers = np.unique(column.astype(str), return_inverse=True)
        return numbers.astype(np.int32), tuple(classes.tolist())
    whole = bool(np.all(np.floor(column) == column)) and abs(column).max() < 2**31
    return (column.astype(np.int32) if whole else column), None
