"""Read CSV strictly: an error names the line and column of a cell that is no number."""

from __future__ import annotations

import os
from array import array
from typing import NamedTuple

import numpy as np

from jaxnn.data.readers.csv_rows import NUMBER, CsvRows, complaint, opened_csv, targets_of

__all__ = ["Table", "read_csv"]


class Table(NamedTuple):
    """Hold what `read_csv` read.

    Fields:
      x: (n, features) float64.
      y: (n,) int32 or float64, or None.
      classes: the text that each number in `y` stands for, or None.
      names: of the features, or None where there is no header.
    """

    x: np.ndarray
    y: np.ndarray | None
    classes: tuple[str, ...] | None
    names: tuple[str, ...] | None


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

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("width,kind\\n0.5,rose\\n0.25,iris\\n")
    >>> read_csv(path, target="kind")
    Table(x=array([[0.5 ],
           [0.25]]), y=array([1, 0], dtype=int32), classes=('iris', 'rose'), names=('width',))
    """
    with opened_csv(path, target, delimiter, header) as file:
        cells = _Cells(file)
        for line, row in file.rows:
            cells.add(line, row)
        return cells.table()


class _Cells:
    """Collect rows as numbers and labels."""

    def __init__(self, file: CsvRows) -> None:
        self.file = file
        self.lines = array("q")
        self.values = array("d")
        self.labels: list[str] = []

    def add(self, line: int, row: list[str]) -> None:
        label = self.file.split(line, row)
        if label is not None:
            self.labels.append(label)
        self.lines.append(line)
        text = "".join(row)
        try:
            self.values.extend(map(float, row))
        except ValueError:
            self._refuse(line, row)
        if "_" in text or not text.isascii():
            self._refuse(line, row)

    def _refuse(self, line: int, row: list[str]) -> None:
        for column, cell in zip(self.file.features, row, strict=True):
            if not NUMBER.fullmatch(cell):
                raise ValueError(f"{self.file.place(line, column)} {complaint(cell)}")

    def table(self) -> Table:
        if not self.lines:
            raise ValueError(f"{self.file.path} holds no rows but the header")
        x = np.frombuffer(self.values).reshape(len(self.lines), -1)
        finite = np.isfinite(x)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            place = self.file.place(self.lines[row], self.file.features[column])
            raise ValueError(f"{place} must hold a finite number, got {x[row, column]}")
        names = self.file.features if self.file.named else None
        if self.file.target is None:
            return Table(x, None, None, names)
        return Table(x, *targets_of(self.file, self.lines, self.labels), names)
