"""The rows of a CSV file with their line numbers, its header, and where its target stands."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.arguments import check_flag
from jaxnn.data.inputs.frames import is_index_name

__all__ = ["NUMBER", "CsvRows", "complaint", "opened_csv", "targets_of"]

# float() also takes "nan", "1_000" and digits of other scripts.
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


@dataclass(frozen=True)
class CsvRows:
    """Hold an open CSV file.

    Attributes:
      path: of the file.
      rows: of the data, each with the number of its line.
      width: cells of a row.
      target: the place of the column of targets in a row, or None.
      index: the place of a column that only numbers the rows, which is left out, or None.
      features: the names of the other columns, in their order; numbers where there is no header.
      named: whether there is a header.
      target_name: of the column of targets.
    """

    path: str | os.PathLike[str]
    rows: Iterator[tuple[int, list[str]]]
    width: int
    target: int | None
    index: int | None
    features: tuple[str, ...]
    named: bool
    target_name: str | None

    def split(self, line: int, row: list[str]) -> str | None:
        """Take the target out of a row, and return it; leave the features."""
        if len(row) != self.width:
            raise ValueError(
                f"{self.path}: line {line} has {len(row)} cells, the first row {self.width}"
            )
        label = None if self.target is None else row.pop(self.target).strip()
        if self.index is not None:
            del row[self.index]  # it is the first column, which the target does not shift
        return label

    def place(self, line: int, column: str | None) -> str:
        """Say where a cell stands, for a message."""
        shown = repr(column) if self.named else column
        return f"{self.path}: line {line}, column {shown},"


@contextmanager
def opened_csv(
    path: str | os.PathLike[str],
    target: str | int | None,
    delimiter: str,
    header: bool | None,
) -> Iterator[CsvRows]:
    """Open a CSV file, and read its header; see `jaxnn.data.from_csv` for the arguments.

    Raises:
      FileNotFoundError: no such file.
      TypeError: a target that is neither a name nor an index.
      ValueError: no such target, no rows, or no column but the target.

    Warns:
      UserWarning: the first column has no name, as an index has that pandas wrote.
    """
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter must be one character between cells, got {delimiter!r}")
    if header is not None:
        check_flag("header", header)
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(
            file, delimiter=delimiter, strict=True, skipinitialspace=not delimiter.isspace()
        )
        rows = _rows(reader, path)
        line, first = next(rows, (0, []))
        if not first:
            raise ValueError(f"{path} holds no rows")
        if header is None:
            header = isinstance(target, str) or not any(map(NUMBER.fullmatch, first))
        names = [cell.strip() for cell in first] if header else None
        column = _target_column(path, target, names, len(first), delimiter)
        index = _index_column(path, names, column)
        columns = list(names or map(str, range(len(first))))
        features = [name for i, name in enumerate(columns) if i not in (column, index)]
        if not features:
            raise ValueError(f"{path} holds no column but the target")
        yield CsvRows(
            path,
            rows if header else _with_first((line, first), rows),
            len(first),
            column,
            index,
            tuple(features),
            names is not None,
            None if column is None else columns[column],
        )


def targets_of(
    file: CsvRows, lines: Sequence[int], labels: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Make targets of their cells: numbers, or classes where all are text.

    Returns:
      (n,) int32 or float64, and the text that each number stands for, or None.

    Raises:
      ValueError: an empty cell, or text among numbers, named with its line.
    """
    numeric = [NUMBER.fullmatch(label) is not None for label in labels]
    for line, label, is_number in zip(lines, labels, numeric, strict=True):
        place = file.place(line, file.target_name)
        if not label:
            raise ValueError(f"{place} is empty")
        if is_number != numeric[0]:
            one, other = ("a number", "text") if is_number else ("text", "a number")
            raise ValueError(
                f"{place} holds {one}, {label!r}, and line {lines[0]} {other}, {labels[0]!r}"
            )
    if not numeric[0]:
        classes = tuple(sorted(set(labels)))
        number = {label: i for i, label in enumerate(classes)}
        return np.array([number[label] for label in labels], np.int32), classes
    y = np.array(labels, np.float64)
    whole = all(map(_INTEGER.fullmatch, labels)) and abs(y).max() < 2**31
    return (y.astype(np.int32) if whole else y), None


def complaint(cell: str) -> str:
    """Say what is wrong with a cell that holds no number."""
    return f"must hold a number, got {cell!r}" if cell.strip() else "is empty"


def _rows(reader: Any, path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the number of its (last) line."""
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: after line {reader.line_num} no CSV in UTF-8: {error}"
            ) from error
        if row is None:
            return
        if row:
            yield reader.line_num, row


def _with_first(
    first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _target_column(
    path: str | os.PathLike[str],
    target: str | int | None,
    names: Sequence[str] | None,
    width: int,
    delimiter: str,
) -> int | None:
    """Return the index of the target's column, at least 0."""
    if target is None:
        return None
    if isinstance(target, str):
        if names is None:
            raise ValueError(
                "target must be an index where header=False says that no column has a name, got "
                f"{target!r}"
            )
        if names.count(target) != 1:
            raise ValueError(
                f"target must name one column of {path}, {', '.join(names)}, got {target!r} "
                f"(delimiter {delimiter!r})"
            )
        return names.index(target)
    if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
        raise TypeError(f"target must be a column's name or index, got {target!r}")
    if not -width <= target < width:
        raise ValueError(f"target must be the index of one of {width} columns, got {target}")
    return target % width


def _index_column(
    path: str | os.PathLike[str], names: Sequence[str] | None, target: int | None
) -> int | None:
    """Return 0 where the first column is an index, which has no name of its own."""
    if names is None or target == 0 or len(names) == 1 or not is_index_name(names[0]):
        return None
    warnings.warn(
        f"{path}: the first column has no name, as an index that was written along with the table, "
        "and is left out; give it a name to keep it",
        UserWarning,
        stacklevel=6,  # where from_csv was called
    )
    return 0
