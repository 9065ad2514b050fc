"""The competitors, as far as they can be imported."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from experiments.benchmarks.tasks import Set, Start, Task, Trainer

__all__ = ["ALONE", "COMPETITORS", "OURS", "make", "present"]


class Competitor(NamedTuple):
    """Name the module that makes a competitor's trainer, and the package that it needs."""

    module: str
    package: str
    options: Mapping[str, int] = MappingProxyType({})


OURS = "jaxnn"
ALONE = "jaxnn, one alone"  # beside members
COMPETITORS = {
    OURS: Competitor("ours", "jaxnn"),
    ALONE: Competitor("ours", "jaxnn", {"alone": True}),
    "Flax loop": Competitor("peers.flax_loop", "flax"),
    "PyTorch": Competitor("peers.torch_eager", "torch"),
    "Keras": Competitor("peers.keras_fit", "keras"),
    "Keras, 16 steps": Competitor("peers.keras_fit", "keras", {"steps_per_execution": 16}),
}


def make(name: str, task: Task, data: Set, start: Start) -> Trainer:
    """Import a competitor's module and make its trainer."""
    module, _, options = COMPETITORS[name]
    found = importlib.import_module(f"experiments.benchmarks.{module}")
    return found.make(task, data, start, **options)


def present(wanted: Sequence[str]) -> list[str]:
    """List the peers that are wanted and installed, in the order of the table.

    Args:
      wanted: beginnings of names, in any case; none: all.

    Raises:
      ValueError: no peer that is installed has a name that begins so.
    """
    there = [
        name
        for name, competitor in COMPETITORS.items()
        if name not in (OURS, ALONE) and importlib.util.find_spec(competitor.package) is not None
    ]
    for beginning in wanted:
        if not any(_begins(name, beginning) for name in there):
            raise ValueError(
                f"peers must be the beginning of one of {', '.join(there)}, which are installed; "
                f"got {beginning!r}"
            )
    return [name for name in there if not wanted or any(_begins(name, w) for w in wanted)]


def _begins(name: str, beginning: str) -> bool:
    return name.casefold().startswith(beginning.casefold())
