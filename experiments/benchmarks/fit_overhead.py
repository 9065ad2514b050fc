"""The whole of `jaxnn.fit` against its bare compiled chunks.

`fit` checks, shuffles, records every step, writes history, checkpoint and a line of progress
for each epoch. The bare run is the same steps in the same calls of one compiled function, with
one order of rows for all epochs, from a state that is ready.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxnn
from experiments.benchmarks.ours import begin, recipe_of
from experiments.benchmarks.tasks import Set, Start, Task
from experiments.benchmarks.timing import Quartiles, alternate
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import start_tally

__all__ = ["Overhead", "fit_overhead"]


class Overhead(NamedTuple):
    """Times over those of the bare run, turn by turn."""

    task: str
    epochs: int
    steps: int  # in all
    seconds: Quartiles  # of the bare run
    fit: Quartiles
    again: Quartiles  # the bare run's own


def fit_overhead(task: Task, epochs: int, alternations: int) -> Overhead:
    """Measure a run of so many epochs of the task."""
    from rich.console import Console

    data, start = Set.of(task), Start.of(task)
    arrays = {"x": data.x, "y": data.y}

    def whole() -> None:
        with tempfile.TemporaryDirectory() as parent:
            jaxnn.fit(
                recipe_of(task),
                arrays,
                epochs=epochs,
                batch_size=task.batch,
                key=0,
                observers=[jaxnn.report.Progress(Console(file=io.StringIO()))],
                folder=Path(parent) / "run",
                devices=1,
            )

    works = {"fit": whole, "bare": _Bare(task, data, start, epochs)}
    works["again"] = _Bare(task, data, start, epochs)
    for work in works.values():
        work()
    taken = alternate(works, alternations)
    return Overhead(
        task=task.name,
        epochs=epochs,
        steps=epochs * task.batches,
        seconds=Quartiles.of(taken["bare"]),
        fit=Quartiles.of(taken["fit"] / taken["bare"]),
        again=Quartiles.of(taken["again"] / taken["bare"]),
    )


class _Bare:
    def __init__(self, task: Task, data: Set, start: Start, epochs: int) -> None:
        prepared = begin(task, data, start)
        self._program, self._state = prepared.program, prepared.state
        (self._chunk,) = prepared.train.chunks(prepared.key, 0, None)
        self._tally = start_tally(
            self._program, self._state, self._chunk.data, self._chunk.capacity
        )
        self._epochs, self._steps = epochs, np.int32(task.batches)

    def __call__(self) -> None:
        for _ in range(self._epochs):
            self._state, self._tally = train_chunk(
                self._program,
                self._state,
                self._tally,
                self._chunk.data,
                self._chunk.order,
                np.int32(0),
                self._steps,
            )
        jax.block_until_ready(self._state)
