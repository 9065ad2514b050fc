"""Compare jaxnn's speed with the usual Flax loop, PyTorch and Keras, in one table.

    python -m experiments.benchmarks

trains the same networks, from the same weights and on the same data, with each competitor that
can be imported (`pip install "jaxnn[benchmark]"`). They take turns, so that a slow spell of the
machine slows all alike. It prints the table, and writes it as JSON and as a page with pictures.

In every turn each trains for the same number of shuffled epochs with Adam. jaxnn trains as
`jaxnn.fit` does: one compiled call per epoch, data on the device, loss and accuracy of each step
recorded. The Flax loop calls one jitted step on each batch from NumPy; PyTorch runs in eager mode
with its fused Adam; Keras calls `fit` on JAX, with one and 16 steps per execution. These three
record the loss alone. A ratio is the time of
the peer over ours in the same turn: above 1 jaxnn is faster. "jaxnn again" is jaxnn over
itself: the noise of the ratios. "of limit" is the share of the machine's rate of
large float32 matrix products that the step reaches, counting the operations of matrix
products and convolutions by `jaxnn.nn.summary`, forward and for both gradients.

A second part times the whole of `jaxnn.fit`, with its record, its files and a line of progress
an epoch, against the bare compiled calls. A third part times the start of the process to the end
of the first epoch, against the shortest Flax script for the same network: cold, with an empty
cache of compiled programs, and warm over warm.

Cost: 21 to 40 minutes on two cores of an x86 server; 1 to 2 for
`--only 64-32 --peers flax pytorch`.
Expected there, with JAX 0.10, PyTorch 2.13 and Keras 3.15, as ratios:

                                Flax loop  PyTorch  Keras  Keras, 16 steps
    784-10                            1.7      2.8    2.5              1.5
    64-32-32-10                       4.4       13    9.7              3.3
    64-100-100-10, dropout            2.3      5.1    2.7              2.2
    784-512-512-10, dropout           1.3      2.8    1.4              1.3
    CNN                               4.8      1.1    5.3              5.2
    ResNet-20                         1.8      0.7    2.2              2.3

`fit` takes 1.04 and 1.00 of the bare calls' time. The digits reach the end of their first epoch in
1.1 to 1.2 (MLP) and 0.8 to 1.2 (convolutional) of the script's time cold, and in 1.3 to 1.4 and 1.2
to 1.4 warm over warm. A process that is unlucky with its memory trains ResNet-20 slower by a third,
and measurements of microseconds vary by a fifth from hour to hour.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from experiments.benchmarks.competitors import COMPETITORS, OURS, present
from experiments.benchmarks.drawing import write_page
from experiments.benchmarks.fit_overhead import Overhead, fit_overhead
from experiments.benchmarks.memory import peak_memory
from experiments.benchmarks.race import Row, race
from experiments.benchmarks.startup import NETWORKS, Startup, startup
from experiments.benchmarks.table import HEADER, overhead_line, row_lines, startup_lines
from experiments.benchmarks.tasks import TASKS, Task
from experiments.benchmarks.timing import matrix_product_rate
from experiments.options import check_folder, check_numbers, chosen_rows
from experiments.program import run, spread_over_cores

FIT, STARTUP = "fit", "start-up"
_FIT_EPOCHS = {"64-100-100-10, dropout": 400, "784-512-512-10, dropout": 60}


@dataclass(frozen=True)
class Config:
    """Time training with jaxnn and its peers."""

    only: tuple[str, ...] = ()
    """Only rows whose name contains one of these, in any case; "fit" and "start-up" are rows
    too."""
    peers: tuple[str, ...] = ()
    """Only peers whose name begins with one of these, in any case; none: all there are."""
    alternations: int = 9
    """Timings of each, taken in turn, at least 1."""
    steps: int | None = None
    """Steps of one timing; None: what each row has of its own, about a second."""
    members: int | None = None
    """Networks that each row of members trains at once, at least 2; None: as many as it has."""
    memory: bool = True
    """Whether each also trains in a process of its own, for its peak memory."""
    folder: Path | None = None
    """Where table.json and page.html are written; None: runs/benchmarks-DATE-TIME."""


@dataclass(frozen=True)
class Results:
    """Hold all measurements of a run."""

    machine: dict[str, Any]
    rows: list[Row]
    fit: list[Overhead]
    startup: list[Startup]


def main(config: Config) -> Results:
    """Measure, print, and write."""
    check_numbers(config, "alternations", "steps", "members")
    check_folder("folder", config.folder)
    chosen = chosen_rows(config.only, [*(task.name for task in TASKS), FIT, STARTUP])
    peers = present(config.peers)
    folder = config.folder or Path("runs") / time.strftime("benchmarks-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    peak = matrix_product_rate()
    machine = _machine(peak)
    print(_about(machine), HEADER, sep="\n")
    rows = []
    for task in _tasks(config, chosen):
        row = race(task, peers, config.alternations, peak)
        if config.memory:
            row = replace(row, memory={name: peak_memory(task, name) for name in (OURS, *peers)})
        rows.append(row)
        print(*row_lines(row), sep="\n", flush=True)
    overheads = _overheads(config) if FIT in chosen else []
    starts = _starts(config) if STARTUP in chosen else []
    results = Results(machine, rows, overheads, starts)
    (folder / "table.json").write_text(json.dumps(_plain(results), indent=2) + "\n", "utf-8")
    words = [_about(machine), *map(overhead_line, overheads)]
    print(f"table {folder / 'table.json'}")
    print(f"page  {write_page(folder / 'page.html', rows, starts, words)}")
    return results


def _tasks(config: Config, chosen: Sequence[str]) -> Iterator[Task]:
    for task in TASKS:
        if task.name in chosen:
            task = task if config.steps is None else task.of_steps(config.steps)
            more = task.members > 1 and config.members is not None
            yield replace(task, members=config.members) if more else task


def _overheads(config: Config) -> list[Overhead]:
    print("the whole of fit over the bare compiled calls")
    found = []
    for task in TASKS:
        if task.name in _FIT_EPOCHS:
            epochs = _FIT_EPOCHS[task.name]
            if config.steps is not None:
                task, epochs = task.of_steps(config.steps), 1
            found.append(fit_overhead(task, epochs, config.alternations))
            print(overhead_line(found[-1]), flush=True)
    return found


def _starts(config: Config) -> list[Startup]:
    found = []
    for network in NETWORKS:
        found.append(startup(network, config.alternations))
        print(*startup_lines(found[-1]), sep="\n", flush=True)
    return found


def _machine(peak: float) -> dict[str, Any]:
    packages = {COMPETITORS[name].package for name in (OURS, *present(()))} | {"jax"}
    return {
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "matrix_products_flops": peak,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in sorted(packages)},
    }


def _about(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['cores']} cores, {machine['device']}, "
        f"{machine['matrix_products_flops'] / 1e9:.0f} GFLOP/s in matrix products; {versions}"
    )


def _plain(found: Any) -> Any:
    """Convert to JSON-like values: dataclasses and named tuples become dicts of their fields."""
    if is_dataclass(found) and not isinstance(found, type):
        return _plain(vars(found))
    if hasattr(found, "_asdict"):
        return _plain(found._asdict())
    if isinstance(found, dict):
        return {name: _plain(value) for name, value in found.items()}
    return [_plain(each) for each in found] if isinstance(found, list) else found


if __name__ == "__main__":
    spread_over_cores()  # for members; all else runs on the first
    run(main, Config, __doc__, keeps_compiled=False)
