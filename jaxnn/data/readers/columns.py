"""Read CSV column by column, with columns of text and with missing cells."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from jaxnn.data.inputs.columns import Columns
from jaxnn.data.readers.csv_rows import NUMBER, CsvRows, complaint, opened_csv, targets_of

__all__ = ["ColumnTable", "read_columns"]

_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null")


class ColumnTable(NamedTuple):
    """Hold what `read_columns` read.

    Fields:
      columns: float64 with NaN, or text with None, by name, in the order of the file.
      y: (n,) int32 or float64, or None.
      classes: the text that each number in `y` stands for, or None.
    """

    columns: Columns
    y: np.ndarray | None
    classes: tuple[str, ...] | None


def read_columns(
    path: str | os.PathLike[str],
    *,
    target: str | int | None,
    delimiter: str,
    header: bool | None,
    categorical: Collection[str] | str,
    missing: str,
) -> ColumnTable:
    """Read a CSV file of numbers and categories; see `jaxnn.data.from_csv` for the arguments.

    Raises:
      FileNotFoundError: no such file.
      ValueError: see `jaxnn.data.from_csv`.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("width,kind\\n0.5,rose\\nNA,iris\\n")
    >>> read_columns(path, target=None, delimiter=",", header=None, categorical=["kind"],
    ...     missing="mean").columns
    {'width': array([0.5, nan]), 'kind': array(['rose', 'iris'], dtype=object)}
    """
    with opened_csv(path, target, delimiter, header) as file:
        _check_names(file, categorical)
        lines: list[int] = []
        rows: list[list[str]] = []
        labels: list[str] = []
        for line, row in file.rows:
            label = file.split(line, row)
            cells = [cell.strip() for cell in row]
            if missing == "drop" and any(cell in _MISSING for cell in (*cells, label)):
                continue
            lines.append(line)
            rows.append(cells)
            if label is not None:
                labels.append(label)
    if not rows:
        raise ValueError(f"{path} holds no rows but the header, or none without a missing cell")
    columns = {
        name: _column(file, name, lines, [row[i] for row in rows], categorical, missing)
        for i, name in enumerate(file.features)
    }
    if file.target is None:
        return ColumnTable(columns, None, None)
    return ColumnTable(columns, *targets_of(file, lines, labels))


def _check_names(file: CsvRows, categorical: Collection[str] | str) -> None:
    twice = {name for name in file.features if file.features.count(name) > 1}
    if twice:
        raise ValueError(f"{file.path} must have one column of each name, got {min(twice)!r} twice")
    absent = set() if isinstance(categorical, str) else set(categorical) - set(file.features)
    if absent:
        raise ValueError(
            f"categorical must name columns among {', '.join(file.features)}, got "
            f"{sorted(map(str, absent))[0]!r}"
        )


def _column(
    file: CsvRows,
    name: str,
    lines: list[int],
    cells: list[str],
    categorical: Collection[str] | str,
    missing: str,
) -> np.ndarray:
    for line, cell in zip(lines, cells, strict=True):
        if missing == "refuse" and not cell:
            raise ValueError(f"{file.place(line, name)} is empty")
    absent = [missing != "refuse" and cell in _MISSING for cell in cells]
    numeric = [NUMBER.fullmatch(cell) is not None for cell in cells]
    fits = [number or none for number, none in zip(numeric, absent, strict=True)]
    chosen = not all(fits) if categorical == "text" else name in categorical
    if chosen:
        text = [None if none else cell for cell, none in zip(cells, absent, strict=True)]
        return np.array(text, object)
    for line, cell, good in zip(lines, cells, fits, strict=True):
        if not good:
            raise ValueError(f"{file.place(line, name)} {complaint(cell)}")
    column = np.array([np.nan if none else cell for cell, none in zip(cells, absent, strict=True)])
    column = column.astype(np.float64)
    infinite = np.isinf(column)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(f"{file.place(lines[row], name)} must hold a finite number, got inf")
    return column
