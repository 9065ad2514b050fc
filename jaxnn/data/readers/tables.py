"""Read CSV strictly: an error names the line and column of a cell that is no number."""

from __future__ import annotations

import csv
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Table", "read_csv"]

# float() also takes "nan", "1_000" and digits of other scripts.
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


class Table(NamedTuple):
    """Hold what `read_csv` read.

    Fields:
      x: (n, features) float64.
      y: (n,) int32 or float64, or None.
      classes: the text that each number in `y` stands for, or None.
    """

    x: np.ndarray
    y: np.ndarray | None
    classes: tuple[str, ...] | None


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    delimiter: str = ",",
    header: bool | None = None,
) -> Table:
    """Read the numbers of a CSV file, one row for each example.

    Args:
      path: the file, in UTF-8.
      target: the column of targets by its name or by its index; None has none.
      delimiter: one character between cells.
      header: whether the first row holds names; None: when it holds no number, or `target`
        is a name.

    Returns:
      See `Table`; columns stay in the order of the file.

    Raises:
      FileNotFoundError: no such file.
      ValueError: see `jaxnn.data.from_csv`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("width,kind\\n0.5,rose\\n0.25,iris\\n")
    >>> read_csv(path, target="kind")
    Table(x=array([[0.5 ],
           [0.25]]), y=array([1, 0], dtype=int32), classes=('iris', 'rose'))
    """
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter must be one character between cells, got {delimiter!r}")
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(
            file, delimiter=delimiter, strict=True, skipinitialspace=not delimiter.isspace()
        )
        rows = _rows(reader, path)
        line, first = next(rows, (0, []))
        if not first:
            raise ValueError(f"{path} holds no rows")
        if header is None:
            header = isinstance(target, str) or not any(map(_NUMBER.fullmatch, first))
        names = [cell.strip() for cell in first] if header else None
        column = _target_column(path, target, names, len(first))
        cells = _Cells(path, len(first), column, names)
        if not header:
            cells.add(line, first)
        for line, row in rows:
            cells.add(line, row)
    return cells.table()


def _rows(
    reader: Iterator[list[str]], path: str | os.PathLike[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the number of its (last) line."""
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            after = reader.line_num  # type: ignore[attr-defined]
            raise ValueError(f"{path}: after line {after} no CSV in UTF-8: {error}") from error
        if row is None:
            return
        if row:
            yield reader.line_num, row  # type: ignore[attr-defined]


def _target_column(
    path: str | os.PathLike[str],
    target: str | int | None,
    names: Sequence[str] | None,
    width: int,
) -> int | None:
    """Return the index of the target's column, at least 0."""
    if target is None:
        return None
    if isinstance(target, str):
        if names is None:
            raise ValueError(f"target {target!r} is a name, which header=False leaves without")
        if names.count(target) != 1:
            raise ValueError(
                f"target must name one column of {path}, {', '.join(names)}, got {target!r}"
            )
        return names.index(target)
    if not -width <= target < width:
        raise ValueError(f"target must be the index of one of {width} columns, got {target}")
    return target % width


class _Cells:
    """Collect rows as numbers and labels."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        column: int | None,
        names: Sequence[str] | None,
    ) -> None:
        self.path, self.width, self.column = path, width, column
        columns = [repr(name) for name in names] if names else [str(i) for i in range(width)]
        self.target = columns.pop(column) if column is not None else None
        self.features = columns
        if not columns:
            raise ValueError(f"{path} holds no column but the target")
        self.lines = array("q")
        self.values = array("d")
        self.labels: list[str] = []

    def add(self, line: int, row: list[str]) -> None:
        if len(row) != self.width:
            raise ValueError(
                f"{self.path}: line {line} has {len(row)} cells, the first row {self.width}"
            )
        if self.column is not None:
            self.labels.append(row.pop(self.column).strip())
        self.lines.append(line)
        text = "".join(row)
        try:
            self.values.extend(map(float, row))
        except ValueError:
            self._refuse(line, row)
        if "_" in text or not text.isascii():
            self._refuse(line, row)

    def _refuse(self, line: int, row: list[str]) -> None:
        for column, cell in zip(self.features, row, strict=True):
            if not _NUMBER.fullmatch(cell):
                raise ValueError(f"{self._place(line, column)} {_complaint(cell)}")

    def _place(self, line: int, column: str | None) -> str:
        return f"{self.path}: line {line}, column {column},"

    def table(self) -> Table:
        if not self.lines:
            raise ValueError(f"{self.path} holds no rows but the header")
        x = np.frombuffer(self.values).reshape(len(self.lines), -1)
        finite = np.isfinite(x)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            place = self._place(self.lines[row], self.features[column])
            raise ValueError(f"{place} must hold a finite number, got {x[row, column]}")
        if self.column is None:
            return Table(x, None, None)
        return Table(x, *self._targets())

    def _targets(self) -> tuple[np.ndarray, tuple[str, ...] | None]:
        numeric = [_NUMBER.fullmatch(label) is not None for label in self.labels]
        for line, label, is_number in zip(self.lines, self.labels, numeric, strict=True):
            if not label:
                raise ValueError(f"{self._place(line, self.target)} is empty")
            if is_number != numeric[0]:
                one, other = ("a number", "text") if is_number else ("text", "a number")
                raise ValueError(
                    f"{self._place(line, self.target)} holds {one}, {label!r}, and line "
                    f"{self.lines[0]} {other}, {self.labels[0]!r}"
                )
        if not numeric[0]:
            classes = tuple(sorted(set(self.labels)))
            number = {label: i for i, label in enumerate(classes)}
            return np.array([number[label] for label in self.labels], np.int32), classes
        y = np.array(self.labels, np.float64)
        whole = all(map(_INTEGER.fullmatch, self.labels)) and abs(y).max() < 2**31
        return (y.astype(np.int32) if whole else y), None


def _complaint(cell: str) -> str:
    return f"must hold a number, got {cell!r}" if cell.strip() else "is empty"
