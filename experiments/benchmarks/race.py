"""One row of the table: all competitors on one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.benchmarks.competitors import ALONE, OURS, make
from experiments.benchmarks.tasks import Set, Start, Task, Trainer
from experiments.benchmarks.timing import Quartiles, alternate, stopwatch

__all__ = ["AGAIN", "Row", "race"]

AGAIN = "jaxnn again"


@dataclass(frozen=True)
class Row:
    """Hold what was measured on a task; dicts are by competitor.

    Attributes:
      task: its name.
      batch: examples of a step.
      steps: steps of one timing.
      members: networks that jaxnn trained at once; its times are divided by them.
      parameters: of the network, the same for all.
      floating_operations: of a step.
      seconds: of a step.
      ratios: times of the peer over those of jaxnn, turn by turn: above 1 jaxnn is faster.
        That of jaxnn again is what cannot be told apart.
      compilation: seconds by which the first timing exceeds the later ones.
      losses: means over the first timing, and over the last.
      share: of the machine's rate of matrix products that the step reaches.
      memory: peak of a process that trains alone, in bytes; empty where not asked for.
    """

    task: str
    batch: int
    steps: int
    members: int
    parameters: int
    floating_operations: int
    seconds: dict[str, Quartiles]
    ratios: dict[str, Quartiles]
    compilation: dict[str, float]
    losses: dict[str, tuple[float, float]]
    share: dict[str, float]
    memory: dict[str, int]


def race(task: Task, peers: Sequence[str], alternations: int, peak_rate: float) -> Row:
    """Train the task in turn with jaxnn, with jaxnn again, and with each peer.

    Args:
      task: what is trained.
      peers: names of competitors beside jaxnn.
      alternations: timings of each.
      peak_rate: FLOP/s of matrix products.

    Raises:
      RuntimeError: a peer trains another number of parameters, or does not learn.
    """
    data, start = Set.of(task), Start.of(task)
    if task.members > 1:
        peers = [ALONE, *peers]
    places = {OURS: OURS, AGAIN: OURS, **{peer: peer for peer in peers}}
    trainers = {name: make(place, task, data, start) for name, place in places.items()}
    _check_sizes(trainers)
    warmed = {name: _warm(trainer) for name, trainer in trainers.items()}
    taken = alternate(trainers, alternations)
    losses = {name: (warmed[name][1], trainer()) for name, trainer in trainers.items()}
    _check_learning(losses)

    trained = {name: task.steps * (task.members if name in (OURS, AGAIN) else 1) for name in taken}
    steps = {name: seconds / trained[name] for name, seconds in taken.items()}
    seconds = {name: Quartiles.of(each) for name, each in steps.items()}
    operations = task.floating_operations()
    return Row(
        task=task.name,
        batch=task.batch,
        steps=task.steps,
        members=task.members,
        parameters=trainers[OURS].parameters,
        floating_operations=operations,
        seconds=seconds,
        ratios={
            name: Quartiles.of(each / steps[OURS]) for name, each in steps.items() if name != OURS
        },
        compilation={
            name: max(warmed[name][0] - seconds[name].median * trained[name], 0.0)
            for name in taken
            if name != AGAIN  # it reuses the programs that the first run compiled
        },
        losses=losses,
        share={name: operations / each.median / peak_rate for name, each in seconds.items()},
        memory={},
    )


def _warm(trainer: Trainer) -> tuple[float, float]:
    """Return seconds and loss of the first timing, after a second one as further warm-up."""
    seconds, loss = stopwatch(trainer)
    trainer()
    return seconds, loss


def _check_sizes(trainers: dict[str, Trainer]) -> None:
    sizes = {name: trainer.parameters for name, trainer in trainers.items()}
    if len(set(sizes.values())) > 1:
        raise RuntimeError(f"all must train the same number of parameters, got {sizes}")


def _check_learning(losses: dict[str, tuple[float, float]]) -> None:
    for name, (first, last) in losses.items():
        if not last < first:
            raise RuntimeError(f"{name} must learn, and its loss went from {first} to {last}")
