"""Name, order and format the values of a record for people.

A record names a value `train/…` or `val/…` after the examples on which it was measured; any
other value (`seconds`, `gradient_norm/mean`) belongs to the epoch as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxnn.train import EpochRecord

__all__ = ["SPLITS", "duration", "label", "metric_names", "number"]

SPLITS = {"train": "training", "val": "validation"}


def metric_names(records: Iterable[EpochRecord]) -> list[str]:
    """List the names behind `train/` and `val/`, in the order in which they first appear.

    The loss and the penalty of the regularizer are no metrics, and are left out.

    Args:
      records: of epochs, each with a dict `values`.

    >>> from types import SimpleNamespace
    >>> metric_names([SimpleNamespace(values={"train/loss": 1.0, "val/accuracy": 0.5})])
    ['accuracy']
    """
    names: dict[str, None] = {}
    for record in records:
        for full_name in record.values:
            split, _, name = full_name.partition("/")
            if split in SPLITS and name not in ("loss", "penalty"):
                names[name] = None
    return list(names)


def label(name: str) -> str:
    """Write a value's name in words.

    >>> label("val/top_5_accuracy"), label("gradient_norm/mean")
    ('validation top 5 accuracy', 'gradient norm mean')
    """
    split, slash, rest = name.partition("/")
    words = f"{SPLITS[split]} {rest}" if slash and split in SPLITS else name
    return words.replace("_", " ").replace("/", " ")


def number(value: float, digits: int = 4) -> str:
    """Format `value` with so many significant digits, keeping final zeros to align columns.

    Below ten million the integer part is written out.

    >>> number(0.9), number(21034.4), number(3.2e-7), number(float("nan"))
    ('0.9000', '21034', '3.200e-07', 'nan')
    """
    if 10**digits <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def duration(seconds: float) -> str:
    """Format a time as hours, minutes and seconds.

    >>> duration(3.6), duration(3725)
    ('0:00:04', '1:02:05')
    """
    # Round half up: round() goes to the even neighbour, and would show 0.5 s as no time left.
    minutes, seconds = divmod(math.floor(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
