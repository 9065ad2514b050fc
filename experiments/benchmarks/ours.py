"""jaxnn: an epoch is one compiled call, with the data on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from experiments.benchmarks.tasks import RATE, Set, Start, Task, Trainer
from jaxnn.population.members.crew import Crew
from jaxnn.population.members.state import start_states
from jaxnn.population.prepare.devices import members_mesh
from jaxnn.population.prepare.sizing import best_width
from jaxnn.recipe import MakeRecipe
from jaxnn.train.devices.placement import Placement
from jaxnn.train.devices.transfer import copy
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import emptied, start_tally
from jaxnn.train.prepare.prepare import Prepared, prepare
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.step.state import TrainState

__all__ = ["begin", "make", "recipe_of"]


_emptied = jax.jit(emptied)


@cache  # two trainers of one task share what is compiled, as two runs of one recipe do
def recipe_of(task: Task) -> jaxnn.Recipe:
    """What is trained."""
    return jaxnn.Recipe(
        model=task.model(),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(RATE),
    )


@cache
def _population_of(task: Task) -> MakeRecipe:
    def make_recipe(knobs: Any) -> jaxnn.Recipe:
        return jaxnn.Recipe(
            model=task.model(),
            loss=jaxnn.losses.softmax_cross_entropy,
            optimizer=jaxnn.optim.adam(knobs["rate"]),
        )

    return make_recipe


def make(task: Task, data: Set, start: Start, alone: bool = False) -> Trainer:
    """A trainer of one network, or, unless it is `alone`, of as many as the task has members."""
    one = alone or task.members == 1
    return _One(task, data, start) if one else _Members(task, data, start)


def begin(task: Task, data: Set, start: Start) -> Prepared:
    """A run that is ready for its first step."""
    arrays = {"x": data.x, "y": data.y}
    prepared = prepare(
        Setup(recipe=recipe_of(task), data=arrays, batch_size=task.batch, key=0, devices=1)
    )
    weights = jax.tree.map(jnp.asarray, start.variables["params"])
    # `prepare` has compiled nothing, and no run is under way: the buffers are ours to give away.
    prepared.state = copy(prepared.state.replace(params=weights))
    return prepared


class _One:
    """What `jaxnn.fit` does in an epoch, but for the evaluation at its end."""

    def __init__(self, task: Task, data: Set, start: Start) -> None:
        prepared = begin(task, data, start)
        self.parameters = _count(prepared.state.params)
        self._task, self._program, self._state = task, prepared.program, prepared.state
        self._source, self._key = prepared.train, prepared.key
        self._epoch, self._empty = 0, None

    def __call__(self) -> float:
        losses = []
        for _ in range(self._task.epochs):
            (chunk,) = self._source.chunks(self._key, self._epoch, None)
            if self._empty is None:
                tally = start_tally(self._program, self._state, chunk.data, chunk.capacity)
            else:
                tally = self._empty
            self._state, tally = train_chunk(
                self._program,
                self._state,
                tally,
                chunk.data,
                chunk.order,
                np.int32(0),
                np.int32(self._task.batches),
            )
            self._empty = _emptied(tally)  # at the end of an epoch, as `fit` does
            losses.append(tally.sums["loss"])
            self._epoch += 1
        jax.block_until_ready(self._state)
        totals, counts = np.transpose(jax.device_get(losses))
        return float(totals.sum() / counts.sum())


class _Members:
    """What `jaxnn.fit_population` does in an epoch, for networks with a rate of their own."""

    def __init__(self, task: Task, data: Set, start: Start) -> None:
        maker, members = _population_of(task), task.members
        self.parameters = _count(start.variables["params"])
        self._task, self._epoch, self._key = task, 0, jax.random.key(0)
        rates = RATE * np.linspace(0.5, 1.5, members)
        mesh = members_mesh(None, members)
        prepared = prepare(
            Setup(
                recipe=maker,
                data={"x": data.x, "y": data.y},
                batch_size=task.batch,
                key=0,
                knobs={"rate": rates[0]},
                devices=1,
            ),
            None if mesh is None else Placement(mesh),
        )

        def states_of(count: int) -> TrainState:
            chosen = {"rate": rates[np.arange(count) % members]}
            states = start_states(maker, self._key, prepared.sample, chosen, count)
            weights = jax.tree.map(
                lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)),
                start.variables["params"],
            )
            return states.replace(params=weights)

        devices = 1 if mesh is None else mesh.size
        self._source, program = prepared.train, prepared.program
        width = _width(
            task,
            lambda: best_width(
                program,
                lambda width: Crew(maker, width * devices, width, mesh),
                states_of,
                prepared.train,
                self._key,
                members,
            ),
        )
        crew = Crew(maker, members, width, mesh)
        self._program = replace(program, width=width, mesh=mesh)
        self._state, self._roster = crew.begin(states_of(members), None)
        self._empty: Any = None

    def __call__(self) -> float:
        losses = []
        for _ in range(self._task.epochs):
            (chunk,) = self._source.chunks(self._key, self._epoch, None)
            if self._empty is None:
                self._empty = start_tally(self._program, self._state, chunk.data, chunk.capacity)
            self._state, tally = train_chunk(
                self._program,
                self._state,
                self._empty,
                chunk.data,
                chunk.order,
                np.int32(0),
                np.int32(self._task.batches),
                self._roster.live,
            )
            self._empty = _emptied(tally)
            losses.append(tally.sums["loss"])
            self._epoch += 1
        jax.block_until_ready(self._state)
        totals, counts = (
            np.stack([self._roster.of(part) for part in parts])
            for parts in zip(*jax.device_get(losses), strict=True)
        )
        return float(totals.sum() / counts.sum())


_WIDTHS: dict[tuple[str, int], int] = {}


def _width(task: Task, measure: Callable[[], int]) -> int:
    """The width of a cohort, which both trainers of a task share."""
    if (task.name, task.members) not in _WIDTHS:
        _WIDTHS[task.name, task.members] = measure()
    return _WIDTHS[task.name, task.members]


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
