"""The columns of a population's page: knobs, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from jaxnn.report.population.scales import Scale, fitting_scale
from jaxnn.report.population.source import Source
from jaxnn.report.values import label, number

__all__ = ["Column", "Columns", "columns_of", "ordered_names"]

_MOST_OUTCOMES = 16
_NO_OUTCOMES = ("member", "epochs", "ended")


@dataclass(frozen=True)
class Column:
    """One number of each member.

    Attributes:
      name: as in `Population.table()`.
      label: in words.
      role: a knob, what was measured, or the epochs that each member trained.
      values: (members,) float64.
      direction: whether the lowest or the highest is the best; None: neither.
    """

    name: str
    label: str
    role: Literal["knob", "outcome", "epochs"]
    values: np.ndarray
    direction: str | None = None
    scale: Scale = field(init=False)

    def __post_init__(self) -> None:
        outcome = self.role == "outcome"
        # An accuracy is read on a linear axis, a loss or a knob by its order of magnitude.
        may_be_log = self.role == "knob" or (outcome and self.direction != "max")
        scale = fitting_scale(self.values, may_be_log=may_be_log, knob=not outcome)
        object.__setattr__(self, "scale", scale)

    def text(self, row: int) -> str:
        """The value of one member for the table; empty where there is none."""
        value = self.values[row]
        if self.role == "outcome":
            return number(float(value)) if np.isfinite(value) else ""
        return f"{value:.4g}" if self.role == "knob" else f"{value:.0f}"


@dataclass(frozen=True)
class Columns:
    """What is told of each member.

    Attributes:
      columns: knobs that differ between members, outcomes, and the epochs.
      shared: the other knobs, with the value that all members have.
      left_out: names of outcomes for which there is no room.
    """

    columns: list[Column]
    shared: dict[str, float]
    left_out: list[str]


def columns_of(source: Source, leading: str | None) -> Columns:
    """Choose the columns of the page, the most telling first.

    Args:
      source: of the page.
      leading: the value of the record that comes first, or None.
    """
    table, knobs = source.table, source.knobs
    names = [str(name) for name in table.dtype.names or ()]
    directions = source.config["directions"]
    measured = [name for name in names if name not in knobs and name not in _NO_OUTCOMES]
    ordered = ordered_names(measured, directions, leading)
    varied = {name: column for name, column in knobs.items() if np.ptp(column)}
    columns = [Column(name, name, "knob", column) for name, column in varied.items()]
    for name in ordered[:_MOST_OUTCOMES]:
        best = name.startswith("best ")
        plain = name.removeprefix("best ")
        words = f"{'best' if best else 'last'} {label(plain)}"
        direction = directions.get(plain)
        columns.append(Column(name, words, "outcome", table[name].astype(float), direction))
    columns.append(Column("epochs", "epochs trained", "epochs", table["epochs"].astype(float)))
    shared = {name: float(column[0]) for name, column in knobs.items() if name not in varied}
    return Columns(columns, shared, ordered[_MOST_OUTCOMES:])


def ordered_names(
    names: list[str], directions: Mapping[str, str], leading: str | None
) -> list[str]:
    """Sort names of values: those with a direction first, validation before training.

    Args:
      names: of the record, or of the table with "best " before some.
      directions: by name.
      leading: the name that comes first, or None.

    >>> names = ["norm", "train/loss", "val/loss", "best val/loss"]
    >>> ordered_names(names, {"val/loss": "min"}, None)
    ['best val/loss', 'val/loss', 'train/loss', 'norm']
    """

    def key(name: str) -> tuple[bool, bool, int, bool]:
        plain = name.removeprefix("best ")
        split = plain.partition("/")[0]
        place = {"val": 0, "train": 1}.get(split, 2)
        return plain != leading, plain not in directions, place, plain == name

    return sorted(names, key=key)
