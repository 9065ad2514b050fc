"""Compare training with probes to the same training without: time of a step.

    python -m experiments.benchmarks.alone.probe_cost

trains one network in turn without probes, without them once more, and with each set of them. A
ratio is the time with probes over that without, in the same turn; that of "none again" is what
this machine cannot tell apart. Each timing is a number of compiled calls of an epoch, as
`jaxnn.fit` makes them; the record, which is written once an epoch, is not part of it.

Cockpit's own figures, from the data that its authors published, stand beside: medians of a step
with its instruments over a step without, every step, for a small network on a CPU and for a
convolutional network on a GPU.

Cost: about 6 minutes on two cores of an x86 server.
Expected there, for 64-100-100-10 and 784-512-512-10: the norms at every step 1.31 and 1.26 of the
time without, at every tenth 1.02 and 1.05; the standard set at every step 2.5 and 1.5, at every
tenth 1.17 and 1.07.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.ours import recipe_of
from experiments.benchmarks.tasks import TASKS as ALL
from experiments.benchmarks.tasks import Set, Start, Task
from experiments.benchmarks.timing import Quartiles, alternate
from experiments.options import check_numbers, chosen_rows
from experiments.program import run
from jaxnn.inspect import (
    Alpha,
    CurvatureTrace,
    GradientNoise,
    LargestCurvature,
    LossDecrease,
    Norms,
    standard_probes,
)
from jaxnn.train import Probe
from jaxnn.train.devices.transfer import copy
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import start_tally
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.setup import Setup

NONE, AGAIN = "none", "none again"
SETS: dict[str, Callable[[], Sequence[Any]]] = {
    "norms": lambda: [Norms()],
    "standard": lambda: standard_probes(every=1),
    "standard, every 10": lambda: standard_probes(every=10),
    "noise scale, every 50": lambda: [GradientNoise(every=50)],
    "loss before and after, every 50": lambda: [LossDecrease(every=50)],
    "alpha, every 50": lambda: [Alpha(every=50)],
    "curvature, every 100": lambda: [LargestCurvature(every=100)],
    "trace, every 100": lambda: [CurvatureTrace(every=100)],
}
TASKS = [
    Task("64-100-100-10", (64,), batch=64, batches=100, epochs=8, hidden=(100, 100)),
    Task("784-512-512-10", (784,), batch=128, batches=100, epochs=1, hidden=(512, 512)),
    next(task for task in ALL if task.name == "CNN 28×28"),
]
COCKPIT = {
    "MLP, CPU, economy": 63.0,
    "CNN, GPU, economy": 1.5,
    "CNN, GPU, business": 2.0,
    "CNN, GPU, full": 21.0,
}
"""Schneider et al. 2021, Cockpit: raw data of the authors' benchmark."""


@dataclass(frozen=True)
class Config:
    """Time a step with and without probes."""

    alternations: int = 25
    """Timings of each, taken in turn, at least 1."""
    steps: int | None = None
    """Steps of one timing; None: what each network has of its own."""
    only: tuple[str, ...] = ()
    """Only networks whose name contains one of these, in any case."""


def main(config: Config) -> dict[str, dict[str, Quartiles]]:
    """Print the table; return the ratios by network and set."""
    check_numbers(config, "alternations", "steps")
    networks = chosen_rows(config.only, [task.name for task in TASKS])
    found = {}
    for task in TASKS:
        if task.name in networks:
            task = task if config.steps is None else task.of_steps(config.steps)
            found[task.name] = _compare(task, config.alternations)
    for name, ratio in COCKPIT.items():
        print(f"Cockpit, {name:30} {ratio:6.2f}")
    return found


def _compare(task: Task, alternations: int) -> dict[str, Quartiles]:
    runs = {NONE: _Run(task, ()), AGAIN: _Run(task, ())}
    runs |= {name: _Run(task, make()) for name, make in SETS.items()}
    for each in runs.values():
        each()  # compiles
    taken = alternate(runs, alternations)
    print(f"{task.name}, {1e6 * np.median(taken[NONE]) / task.steps:.0f} µs a step")
    ratios = {}
    for name in (AGAIN, *SETS):
        ratios[name] = Quartiles.of(taken[name] / taken[NONE])
        median, low, high = ratios[name]
        print(f"  {name:32} {median:6.3f}  {low:.3f}–{high:.3f}", flush=True)
    return ratios


class _Run:
    """What `jaxnn.fit` does in an epoch, with probes, but for the evaluation at its end."""

    def __init__(self, task: Task, probes: Sequence[Probe]) -> None:
        data, start = Set.of(task), Start.of(task)
        setup = Setup(
            recipe=recipe_of(task),
            data={"x": data.x, "y": data.y},
            batch_size=task.batch,
            key=0,
            devices=1,
            probes=tuple(probes),
        )
        prepared = prepare(setup)
        weights = jax.tree.map(jax.numpy.asarray, start.variables["params"])
        self._state = copy(prepared.state.replace(params=weights))
        self._program, self._task = prepared.program, task
        (self._chunk,) = prepared.train.chunks(prepared.key, 0, None)
        self._tally = start_tally(
            self._program, self._state, self._chunk.data, self._chunk.capacity
        )

    def __call__(self) -> None:
        data, order = self._chunk.data, self._chunk.order
        first, steps = np.int32(0), np.int32(self._task.batches)
        for _ in range(self._task.epochs):
            self._state, self._tally = train_chunk(
                self._program, self._state, self._tally, data, order, first, steps
            )
        jax.block_until_ready((self._state, self._tally))


if __name__ == "__main__":
    run(main, Config, __doc__, keeps_compiled=False)
