"""What the progress of a single run shows."""

from __future__ import annotations

import math
import statistics

from jaxnn.report.progress.ending import ending
from jaxnn.report.values import SPLITS, duration, metric_names, number
from jaxnn.train import EpochRecord, Run

__all__ = ["RunWords"]


class RunWords:
    """Losses, the first metric, the examples per second, and the time left.

    Args:
      run: as `Observer.on_start` gets it.
    """

    def __init__(self, run: Run) -> None:
        self._epochs = run.config["epochs"]
        self._seconds: list[float] = []
        self._compiling = True

    def of_epoch(self, record: EpochRecord) -> tuple[list[str], list[str]]:
        """What the epoch measured, and how fast it was."""
        return _values(record), self._speed(record)

    def of_end(self, run: Run, error: BaseException | None) -> str:
        """Why the run ended."""
        return ending(run, error)

    def _speed(self, record: EpochRecord) -> list[str]:
        if self._compiling:  # an epoch that compiles says nothing of the later ones
            self._compiling = False
            return []
        parts = []
        if "examples_per_second" in record.values:
            parts.append(f"{record.values['examples_per_second']:.0f} examples/s")
        seconds = record.values.get("seconds", math.nan)
        if math.isfinite(seconds):
            self._seconds.append(seconds)
        if self._seconds:
            epochs_left = max(self._epochs - record.epoch, 0)
            parts.append(f"{duration(epochs_left * statistics.median(self._seconds))} left")
        return parts


def _values(record: EpochRecord) -> list[str]:
    parts = []
    for split in SPLITS:
        prefix = "" if split == "train" else f"{split} "
        for name, digits in [("loss", 4), *((name, 3) for name in metric_names([record])[:1])]:
            if f"{split}/{name}" in record.values:
                value = number(record.values[f"{split}/{name}"], digits)
                parts.append(f"{prefix}{name} {value}")
    return parts
