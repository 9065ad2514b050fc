"""Make data sets of CSV files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxnn.arguments import check_path
from jaxnn.data.datasets import Data, from_arrays
from jaxnn.data.inputs.columns import as_categorical
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.readers.columns import read_columns
from jaxnn.data.readers.tables import read_csv
from jaxnn.data.tables.assembly import check_choices, from_columns

__all__ = ["from_csv"]


def from_csv(
    path: str | os.PathLike[str],
    *,
    key: Any,
    target: str | int | None = None,
    delimiter: str = ",",
    header: bool | None = None,
    categorical: Sequence[str] | str = (),
    missing: str = "refuse",
    unknown: str = "refuse",
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> Data:
    """Read a CSV file of numbers and categories, and split it at random into train, val and test.

    Unless told otherwise, every cell but the target's must hold a finite number, and an empty
    cell is an error. Quoted cells, a byte-order mark and either kind of line end are fine, and
    blank lines are passed over. A first column without a name is an index that was written along
    with the table: it is left out, with a warning.

    Args:
      path: the file, in UTF-8.
      key: typed key, raw key or integer seed of the split.
      target: the column of targets by its name, or by its index, −1 for the last; None gives
        batches of `x` alone. Targets are classes where the cells are text, numbered in
        sorted order and named in `Data.classes`; int32 where all are written as integers;
        else float64.
      delimiter: one character between cells.
      header: whether the first row holds names; None: when it holds no number, or `target`
        is a name.
      categorical: the names of columns of categories (numbers as text, "0", "1", …, where there
        is no header), each of which becomes one column of zeros and ones for each category of
        the training part; "text": every column that holds text.
      missing: what becomes of cells that are empty or hold NA, N/A, NaN or NULL: "refuse" them;
        "drop" their rows; or fill in the "mean", "median" or "most_frequent" value of the
        training part. A column of categories gets its most frequent one. A missing target is
        refused or dropped.
      unknown: what becomes of a category that the training part lacks: "refuse" it, or let all
        of its columns be "zeros".
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`.
      preprocess: as in `from_arrays`, of the encoded columns.
      preprocess_y: as in `from_arrays`.

    Returns:
      The parts, as `from_arrays` gives them; `x` is (n, columns) float64, in the order of
      the file. `Data.columns` names the columns. Where cells were encoded or filled, that is the
      first step of `Data.preprocess`, which takes rows as the file has them.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a cell that is empty or no finite number, a row of another length, or
        targets of which some are text and some numbers, each named with its line; no such
        column; a file that is no CSV in UTF-8; no rows; and as `from_arrays`.

    Warns:
      UserWarning: the first column has no name.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("width,kind\\n" + "0.5,rose\\n0.25,iris\\n" * 5)
    >>> data = from_csv(path, target="kind", key=0, stratify=True)
    >>> data.train["x"].shape, data.classes
    ((6, 1), ('iris', 'rose'))
    """
    path = check_path("path", path)
    check_choices(missing, unknown)
    categorical = as_categorical(categorical)
    shared: dict[str, Any] = {
        "key": key,
        "fractions": fractions,
        "stratify": stratify,
        "preprocess": preprocess,
        "preprocess_y": preprocess_y,
    }
    if not categorical and missing == "refuse":
        table = read_csv(path, target=target, delimiter=delimiter, header=header)
        data = from_arrays(table.x, table.y, **shared)
        return replace(data, classes=table.classes, columns=table.names)
    columns, y, classes = read_columns(
        path,
        target=target,
        delimiter=delimiter,
        header=header,
        categorical=categorical,
        missing=missing,
    )
    encoding: dict[str, Any] = {"categorical": categorical, "missing": missing, "unknown": unknown}
    return replace(from_columns(columns, y, **encoding, **shared), classes=classes)
