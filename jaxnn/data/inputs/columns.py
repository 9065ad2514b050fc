"""The columns of a table: numbers with NaN where one is missing, or text with None there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxnn.arguments import check_choice, check_sequence, check_text
from jaxnn.data.inputs.dense import as_dense
from jaxnn.data.inputs.frames import column_names, column_of, is_frame, is_missing

__all__ = ["Columns", "as_categorical", "as_columns", "missing_in", "rows_of"]

Columns = dict[str, np.ndarray]
"""Arrays (n,) by name: float64 with NaN, or objects that are text or None."""


def as_columns(name: str, table: Any, names: Sequence[str] | None = None) -> Columns:
    """Read the columns of a table in any of its forms.

    Args:
      name: of the table, for the message.
      table: a frame, a mapping of names to columns, or an array (n, columns).
      names: the columns that are wanted, in their order; an array must have them all, by place.
        None: all there are, those of an array numbered from "0".

    Returns:
      The columns by name, of one length.

    Raises:
      TypeError: a column of dates, or a table of another form.
      ValueError: columns that are not there, lengths that differ, or no rows.

    >>> as_columns("x", {"width": [0.5, None], "colour": ["red", "blue"]})
    {'width': array([0.5, nan]), 'colour': array(['red', 'blue'], dtype=object)}
    """
    if is_frame(table):
        present = {column: i for i, column in enumerate(column_names(name, table))}
        chosen = _chosen(name, present, names)
        raw = {column: _frame_column(table, present[column]) for column in chosen}
    elif isinstance(table, Mapping):
        present = {str(column): values for column, values in table.items()}
        raw = {column: present[column] for column in _chosen(name, present, names)}
    else:
        array = as_dense(name, table)
        if array.ndim != 2 or (names is not None and array.shape[1] != len(names)):
            width = "columns" if names is None else len(names)
            raise ValueError(
                f"{name} must be a frame, a dict of columns, or an array (n, {width}), got shape "
                f"{array.shape}"
            )
        chosen = names or tuple(map(str, range(array.shape[1])))
        raw = {column: np.asarray(array)[:, i] for i, column in enumerate(chosen)}
    columns = {column: _column(f"{name}, column {column!r},", raw[column]) for column in raw}
    _check_lengths(name, columns)
    return columns


def as_categorical(categorical: Any) -> str | tuple[str, ...]:
    """Return "text", or the names of columns of categories; refuse anything else."""
    if isinstance(categorical, str):
        check_choice("categorical", categorical, ("text",))
        return categorical
    if isinstance(categorical, np.ndarray) or hasattr(categorical, "to_list"):  # a frame's names
        categorical = np.asarray(categorical).tolist()
    for name in (names := check_sequence("categorical", categorical)):
        check_text("categorical", name)
    return names


def missing_in(column: np.ndarray) -> np.ndarray:
    """Say for each cell of a column of `as_columns` whether it is missing.

    >>> missing_in(np.array(["red", None], object))
    array([False,  True])
    """
    if column.dtype == object:
        return np.array([cell is None for cell in column], bool)
    return np.isnan(column)


def rows_of(columns: Columns, rows: np.ndarray) -> Columns:
    """Choose rows of every column."""
    return {name: column[rows] for name, column in columns.items()}


def _chosen(name: str, present: Mapping[str, Any], names: Sequence[str] | None) -> Sequence[str]:
    if names is None:
        return tuple(present)
    absent = [column for column in names if column not in present]
    if absent:
        raise ValueError(
            f"{name} must have the columns {_listed(names)}, and lacks {_listed(absent)}"
        )
    return names


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _frame_column(frame: Any, index: int) -> Any:
    column = column_of(frame, index)
    dtype = getattr(frame[list(frame.columns)[index]], "dtype", None)
    if str(dtype).lower().startswith(("category", "categorical", "enum")):
        return column.astype(object) if column.dtype == object else _as_text(column.tolist())
    return column


def _column(place: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{place} must have one value for each row, got shape {array.shape}")
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind not in "OUT":
        raise TypeError(f"{place} must hold numbers or text, got dtype {array.dtype}")
    cells = array.tolist()
    there = [cell for cell in cells if not is_missing(cell)]
    if there and all(isinstance(cell, (bool, int, float, np.number)) for cell in there):
        return np.array([np.nan if is_missing(cell) else float(cell) for cell in cells])
    return _as_text(cells)


def _as_text(cells: Sequence[Any]) -> np.ndarray:
    return np.array([None if is_missing(cell) else str(cell) for cell in cells], object)


def _check_lengths(name: str, columns: Columns) -> None:
    lengths = {column: len(values) for column, values in columns.items()}
    if not columns or not min(lengths.values()):
        raise ValueError(f"{name} must hold at least one row, got none")
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{column!r} {length}" for column, length in lengths.items())
        raise ValueError(f"{name} must have columns of one length, got {listing}")
