"""Name, order and format the values of a record for people.

A record names a value `train/…` or `val/…` after the examples on which it was measured; any
other value (`seconds`, `gradient_norm/mean`) belongs to the epoch as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxnn.train import EpochRecord

__all__ = [
    "SPLITS",
    "duration",
    "is_population",
    "label",
    "leading_name",
    "metric_names",
    "number",
]

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
    return _metrics(name for record in records for name in record.values)


def _metrics(names: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for full_name in names:
        split, _, name = full_name.partition("/")
        if split in SPLITS and name not in ("loss", "penalty"):
            found[name] = None
    return list(found)


def leading_name(names: Iterable[str], directions: Mapping[str, str]) -> str | None:
    """Choose the value by which the members of a population are told apart at first sight.

    It is the first metric whose best value is known, or else the loss; of the validation
    examples where there are any.

    Args:
      names: of the record, in their order.
      directions: "min" or "max" by name, as in `config["directions"]`.

    >>> leading_name(["train/accuracy", "val/accuracy", "val/loss"], {"val/accuracy": "max"})
    'val/accuracy'
    """
    known = [name for name in names if directions.get(name)]
    for metric in [*_metrics(known), "loss"]:
        for name in (f"val/{metric}", f"train/{metric}"):
            if name in known:
                return name
    return None


def is_population(run: Any) -> bool:
    """Say whether this is a population, and no single run.

    Args:
      run: what an observer is told about.
    """
    return run.config.get("population") is not None


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
