"""What a run measured, in memory and as one JSON line an epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ChunkRecord", "EpochRecord", "History"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
      epoch: epochs done, from 1.
      step: steps done.
      values: scalars by name: "train/loss", "val/accuracy", "seconds", …
      steps: float64 series by name over the epoch's steps: "loss", …
      stopped: whether a controller ended the run here.
      arrays: float64 arrays by name, of what is no scalar: "val/confusion", …
    """

    epoch: int
    step: int
    values: dict[str, float]
    steps: dict[str, np.ndarray]
    stopped: bool = False
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of strict JSON, numbers that are not finite as "nan", "inf" or "-inf"."""
        line = {
            "epoch": self.epoch,
            "step": self.step,
            **{name: _to_json(value) for name, value in self.values.items()},
            "steps": {name: _to_json(series) for name, series in self.steps.items()},
            "stopped": self.stopped,
            "arrays": {name: _to_json(array) for name, array in self.arrays.items()},
        }
        return json.dumps(line, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> EpochRecord:
        """The record that `to_json` wrote."""
        raw: dict[str, Any] = json.loads(line)
        return cls(
            epoch=raw.pop("epoch"),
            step=raw.pop("step"),
            steps={name: np.array(values, float) for name, values in raw.pop("steps").items()},
            stopped=raw.pop("stopped"),
            arrays={name: np.array(values, float) for name, values in raw.pop("arrays").items()},
            values={name: float(value) for name, value in raw.items()},
        )


def _to_json(value: Any) -> float | str | list[Any]:
    if np.ndim(value):
        return [_to_json(part) for part in value]
    number = float(value)
    return number if math.isfinite(number) else str(number)


@dataclass(frozen=True)
class ChunkRecord:
    """What the steps of one compiled call measured.

    Attributes:
      epoch: the number of its epoch, from 1.
      start: the number of its first step within the epoch, or within the series of a stream's
        chunk.
      steps: float64 series by name, one number per step.
    """

    epoch: int
    start: int
    steps: dict[str, np.ndarray]


@dataclass
class History:
    """The epochs of a run, in their order.

    >>> history = History([EpochRecord(1, 2, {"train/loss": 0.5}, {"loss": np.ones(2)})])
    >>> history.series("train/loss"), history.step_series("loss")
    (array([0.5]), array([1., 1.]))
    """

    epochs: list[EpochRecord] = field(default_factory=list)

    def series(self, name: str) -> np.ndarray:
        """A value over epochs, float64 (epochs,); NaN where an epoch has none of that name."""
        return np.array([record.values.get(name, math.nan) for record in self.epochs])

    def step_series(self, name: str) -> np.ndarray:
        """A metric over all steps, (steps,); empty where there is none of that name."""
        found = [record.steps[name] for record in self.epochs if name in record.steps]
        return np.concatenate(found) if found else np.zeros(0)

    @property
    def names(self) -> list[str]:
        """Every name that `series` knows, in the order of appearance."""
        return list(dict.fromkeys(name for record in self.epochs for name in record.values))

    @classmethod
    def read(cls, path: Path, *, until: int | None = None) -> History:
        """The history in a file, up to `until` epochs.

        A line that a killed process left half written ends the history.
        """
        return cls(list(_records(path.read_text().splitlines(keepends=True), until)))

    def write(self, path: Path) -> None:
        """Replace a file by this history."""
        path.write_text("".join(record.to_json() + "\n" for record in self.epochs))


def _records(lines: Iterable[str], until: int | None) -> Iterable[EpochRecord]:
    for line in lines:
        if not line.endswith("\n"):
            return
        record = EpochRecord.from_json(line)
        if until is not None and record.epoch > until:
            return
        yield record
