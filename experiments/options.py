"""Check options before any work: where a program writes, its seed, the widths of its layers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxnn.arguments import check_count, check_knob, check_positive_int

__all__ = [
    "check_file",
    "check_folder",
    "check_networks",
    "check_numbers",
    "check_seed",
    "check_widths",
    "chosen_rows",
]


def check_folder(name: str, path: Path | None) -> None:
    """Refuse a folder that cannot be made, or that cannot be written into.

    >>> check_folder("folder", Path(__file__))
    Traceback (most recent call last):
    ...
    ValueError: folder must be a folder, got ...options.py, which is a file
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise ValueError(f"{name} must be a folder, got {path}, which is a file")
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise ValueError(f"{name} must be a folder, got {path}, and {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"{name} must be a folder that can be written into, got {path}, and {there} cannot"
        )


def check_file(name: str, path: Path) -> None:
    """Refuse a file that cannot be written.

    >>> check_file("page", Path(__file__).parent)
    Traceback (most recent call last):
    ...
    ValueError: page must be a file, got ...experiments, which is a folder
    """
    if path.is_dir():
        raise ValueError(f"{name} must be a file, got {path}, which is a folder")
    check_folder(f"the folder of {name}", path.absolute().parent)


def check_seed(seed: Any) -> None:
    """Refuse a seed that is no integer of 32 bits, at least 0.

    >>> check_seed(-1)
    Traceback (most recent call last):
    ...
    ValueError: seed must be an integer of at least 0, got -1
    """
    if check_count("seed", seed) >= 2**32:
        raise ValueError(f"seed must be below 2**32, got {seed}")


def check_widths(name: str, widths: Iterable[Any]) -> None:
    """Refuse a layer without units.

    >>> check_widths("hidden", (32, 0))
    Traceback (most recent call last):
    ...
    ValueError: hidden must be a positive integer, got 0
    """
    for width in widths:
        check_positive_int(name, width)


def check_networks(config: Any) -> None:
    """Refuse layers without units, and dropout rates outside [0, 1), of all networks.

    Args:
      config: among whose options are the settings of networks, also of one that is not trained.
    """
    for name, settings in vars(config).items():
        for part in ("hidden", "channels"):
            check_widths(f"{name}.{part}", getattr(settings, part, ()))
        if (rate := getattr(settings, "dropout_rate", None)) is not None:
            check_knob(f"{name}.dropout_rate", rate, 0, 1, high_open=True)


def check_numbers(config: Any, *names: str) -> None:
    """Refuse options that are not positive integers; None stands for no number.

    >>> from types import SimpleNamespace as Fake
    >>> check_numbers(Fake(epochs=3, patience=0), "epochs", "patience")
    Traceback (most recent call last):
    ...
    ValueError: patience must be a positive integer, got 0
    """
    for name in names:
        if (value := getattr(config, name)) is not None:
            check_positive_int(name, value)


def chosen_rows(only: Sequence[str], rows: Iterable[str]) -> list[str]:
    """List the rows of a table that are asked for.

    Args:
      only: parts of names, in any case, "x" also for "×"; none: all rows.
      rows: the names.

    Raises:
      ValueError: a part is in no name.

    >>> chosen_rows(["cnn 28x28"], ["784-10", "CNN 28×28"])
    ['CNN 28×28']
    """
    rows = list(rows)
    plain = {row: _plain(row) for row in rows}
    for part in only:
        if not any(_plain(part) in name for name in plain.values()):
            raise ValueError(f"only must be part of one of {', '.join(rows)}; got {part!r}")
    return [row for row in rows if not only or any(_plain(part) in plain[row] for part in only)]


def _plain(name: str) -> str:
    return name.casefold().replace("×", "x")
