"""How many members train side by side: measured, within the memory that there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from jaxnn.population.members.crew import Crew
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.feed.source import Source
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.tally import start_tally
from jaxnn.train.step.state import TrainState

__all__ = ["best_width"]

_START = 8  # the width that is tried first
_SECONDS = 0.15  # of steps that are timed, at least
_SHARE = 0.5  # of the memory that is free, which a cohort's program may take
_GAIN = 0.98  # of the time so far that a width must stay below to be worth going on


def best_width(
    program: Program,
    crew_of: Callable[[int], Crew],
    states_of: Callable[[int], TrainState],
    train: Source,
    key: jax.Array,
    members: int,
) -> int:
    """Find the width of a cohort with which the whole population trains fastest.

    Widths are powers of 2. From the first one the search goes up as long as that pays, else
    down. The time of a width is that of all cohorts it takes, full or not.

    Args:
      program: of the population, without a width.
      crew_of: `width -> Crew` for as many members as one cohort of each device holds.
      states_of: `members -> states`.
      train: where the training data comes from.
      key: of the shuffle.
      members: of the population.
    """
    most = 1 << max(0, (members - 1).bit_length())
    cost: dict[int, float] = {}

    def seconds(width: int) -> float:
        if width not in cost:
            cost[width] = _seconds(program, crew_of(width), states_of, train, key, members)
        return cost[width]

    width = min(_START, most)
    up = width
    while up * 2 <= most and seconds(up * 2) < _GAIN * seconds(up):
        up *= 2
    if up > width:
        return up
    while width > 1 and seconds(width // 2) < seconds(width):
        width //= 2
    return width


def _seconds(
    program: Program,
    crew: Crew,
    states_of: Callable[[int], TrainState],
    train: Source,
    key: jax.Array,
    members: int,
) -> float:
    """The time of one step of the whole population; infinite where a cohort has no room."""
    program = replace(program, width=crew.width, mesh=crew.mesh)
    state, roster = crew.begin(states_of(crew.members), None)
    chunk = next(train.chunks(key, 0, None))
    tally = start_tally(program, state, chunk.data, chunk.capacity)
    count = np.int32(1)
    arguments = (tally, chunk.data, chunk.order, np.int32(0), count, roster.live)
    compiled = train_chunk.lower(program, state, *arguments).compile()
    memory = compiled.memory_analysis()
    if memory is not None and memory.temp_size_in_bytes > _SHARE * _free_bytes():
        return float("inf")
    steps, best = min(1, chunk.steps), float("inf")
    for _ in range(3):
        while True:
            begun = time.perf_counter()
            state, tally = compiled(
                state, tally, chunk.data, chunk.order, np.int32(0), np.int32(steps), roster.live
            )
            jax.block_until_ready(state)
            took = time.perf_counter() - begun
            if took > _SECONDS / 3 or steps == chunk.steps:
                break
            steps = min(2 * steps, chunk.steps)
        best = min(best, took / steps)
    cohorts = -(-members // (crew.width * crew.devices))
    return best * cohorts


def _free_bytes() -> float:
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    free = Path("/proc/meminfo")
    if not free.exists():
        return float("inf")
    (line,) = [line for line in free.read_text().splitlines() if line.startswith("MemAvailable")]
    return 1024.0 * int(line.split()[1])
