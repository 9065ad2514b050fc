"""Print lines of a log while an epoch goes on, as the lectures' PyTorch programs do."""

from __future__ import annotations

import numpy as np

from jaxnn.train import Observer, Run
from jaxnn.train.record.records import ChunkRecord

__all__ = ["StepLines"]


class StepLines(Observer):
    """Print the mean training loss of each chunk of steps, as an observer.

    `fit(steps_per_call=n)` makes chunks of n steps; the last of an epoch may have fewer. A chunk
    is printed when the next one is under way, so that training waits for no line.

    Source: lectures C and L, practice Y14.
    """

    reads_state = False

    def on_start(self, run: Run) -> None:
        self._steps = run.config["steps_per_epoch"]

    def on_chunk(self, record: ChunkRecord) -> None:
        losses = record.steps["loss"]
        step = record.start + len(losses)
        print(f"epoch {record.epoch}, step {step}/{self._steps}: loss {np.mean(losses):.4f}")
