"""Measure the peak memory of a process that trains one task with one competitor.

    python -m experiments.benchmarks.memory --task 784-10 --competitor jaxnn

prints it in bytes: import, compilation and the data included.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.benchmarks.competitors import COMPETITORS, OURS, make
from experiments.benchmarks.tasks import TASKS, Set, Start, Task
from experiments.options import check_numbers
from experiments.program import run
from jaxnn.arguments import check_choice

__all__ = ["peak_memory"]


@dataclass(frozen=True)
class Config:
    """Train one task with one competitor, and print the peak memory in bytes."""

    task: str
    """Name of the task."""
    competitor: str = OURS
    """Name of the competitor."""
    steps: int | None = None
    """Steps to train; None: as many as the task has in one timing."""
    members: int | None = None
    """Networks at once; None: as many as the task has."""


def peak_memory(task: Task, competitor: str) -> int:
    """Return the bytes that training takes in a process of its own."""
    command = [sys.executable, "-m", "experiments.benchmarks.memory"]
    options = {
        "--task": task.name,
        "--competitor": competitor,
        "--steps": str(task.steps),
        "--members": str(task.members),
    }
    words = [word for option in options.items() for word in option]
    result = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{competitor} on {task.name} ended with:\n{result.stderr}")
    return int(result.stdout.split()[-1])


def main(config: Config) -> int:
    """Train, and print the peak memory."""
    check_choice("task", config.task, [task.name for task in TASKS])
    check_choice("competitor", config.competitor, COMPETITORS)
    check_numbers(config, "steps", "members")
    task = next(task for task in TASKS if task.name == config.task)
    task = task if config.steps is None else task.of_steps(config.steps)
    task = task if config.members is None else replace(task, members=config.members)
    make(config.competitor, task, Set.of(task), Start.of(task))()
    peak = _peak()
    print(peak)
    return peak


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # on Linux `getrusage` includes the parent's memory before `exec`
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    run(main, Config, __doc__, keeps_compiled=False)
