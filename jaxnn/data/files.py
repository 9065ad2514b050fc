"""Make data sets from a user's own files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from jaxnn.data.datasets import Data, from_arrays
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.readers.npz import read_npz
from jaxnn.data.readers.tables import read_csv

__all__ = ["from_csv", "from_npz"]


def from_npz(
    path: str | os.PathLike[str],
    *,
    key: Any,
    x: str = "x",
    y: str | None = "y",
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
) -> Data:
    """Read arrays from an `.npz` file, and split them at random into train, val and test.

    Nothing is unpickled, whatever the file holds, and no more memory is taken than the file
    can account for.

    Args:
      path: a file as written by `np.savez` or `np.savez_compressed`.
      key: typed key, raw key or integer seed of the split.
      x: name of the inputs in the file, (n, …).
      y: name of the targets in the file, (n, …); None gives batches of `x` alone.
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`.
      preprocess: as in `from_arrays`.

    Returns:
      The parts, as `from_arrays` gives them.

    Raises:
      FileNotFoundError: no such file.
      TypeError: entries that are no numbers.
      ValueError: no such name in the file; a file that is no archive, is cut off or damaged,
        holds Python objects, or declares a size that cannot be true; and as `from_arrays`.

    >>> import numpy as np
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(path, x=np.eye(10), y=np.arange(10))
    >>> from_npz(path, key=0).train["x"].shape
    (6, 10)
    """
    arrays = read_npz(path, [x] if y is None else [x, y])
    return from_arrays(
        arrays[x],
        None if y is None else arrays[y],
        key=key,
        fractions=fractions,
        stratify=stratify,
        preprocess=preprocess,
    )


def from_csv(
    path: str | os.PathLike[str],
    *,
    key: Any,
    target: str | int | None = None,
    delimiter: str = ",",
    header: bool | None = None,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
) -> Data:
    """Read the numbers of a CSV file, and split them at random into train, val and test.

    Every cell but the target's must hold a finite number; an empty cell is an error, not a
    missing value. Quoted cells, a byte-order mark and either kind of line end are fine, and
    blank lines are passed over.

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
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`.
      preprocess: as in `from_arrays`.

    Returns:
      The parts, as `from_arrays` gives them; `x` is (n, columns) float64, in the order of
      the file.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a cell that is empty or no finite number, a row of another length, or
        targets of which some are text and some numbers, each named with its line; no such
        target; a file that is no CSV in UTF-8; no rows; and as `from_arrays`.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "flowers.csv"
    >>> _ = path.write_text("width,kind\\n" + "0.5,rose\\n0.25,iris\\n" * 5)
    >>> data = from_csv(path, target="kind", key=0, stratify=True)
    >>> data.train["x"].shape, data.classes
    ((6, 1), ('iris', 'rose'))
    """
    table = read_csv(path, target=target, delimiter=delimiter, header=header)
    data = from_arrays(
        table.x, table.y, key=key, fractions=fractions, stratify=stratify, preprocess=preprocess
    )
    return dataclasses.replace(data, classes=table.classes)
