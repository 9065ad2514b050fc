"""jaxnn: an epoch is one compiled call, with the data on the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from experiments.benchmarks.tasks import RATE, Set, Start, Task, Trainer
from jaxnn.data.batches import epoch_order, size, take
from jaxnn.recipe import MakeRecipe
from jaxnn.train.devices.transfer import copy
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import emptied, start_tally
from jaxnn.train.prepare.prepare import Prepared, prepare
from jaxnn.train.prepare.setup import Setup

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


def make(task: Task, data: Set, start: Start) -> Trainer:
    """A trainer of one network, or of as many as the task has members."""
    return _One(task, data, start) if task.members == 1 else _Members(task, data, start)


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
    """The same step mapped over networks, each with a rate of its own."""

    def __init__(self, task: Task, data: Set, start: Start) -> None:
        maker, members = _population_of(task), task.members
        self.parameters = _count(start.variables["params"])
        self._task, self._epoch, self._key = task, 0, jax.random.key(0)
        self._data = {"x": jnp.asarray(data.x), "y": jnp.asarray(data.y)}
        params = jax.tree.map(jnp.asarray, start.variables["params"])

        def first(rate: jax.Array) -> Any:
            state = jaxnn.train.init_state(maker, self._key, self._data, {"rate": rate})
            return state.replace(params=params)

        rates = RATE * jnp.linspace(0.5, 1.5, members)
        self._states = jax.jit(jax.vmap(first))(rates)
        self._run = partial(_members_epoch, maker, task.batch, task.batches)

    def __call__(self) -> float:
        losses = []
        for _ in range(self._task.epochs):
            self._states, loss = self._run(
                self._states, self._data, self._key, np.int32(self._epoch)
            )
            losses.append(loss)
            self._epoch += 1
        jax.block_until_ready(self._states)
        return float(np.mean(jax.device_get(losses)))


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _members_epoch(
    maker: Callable, batch_size: int, steps: int, states: Any, data: Any, key: Any, epoch: Any
) -> tuple[Any, jax.Array]:
    """An epoch of all members, who share the order of batches; their mean loss."""
    order = epoch_order(key, epoch, size(data), batch_size)
    step = jax.vmap(partial(jaxnn.train.train_step, maker), in_axes=(0, None))

    def body(index: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        states, total = carry
        states, metrics = step(states, take(data, order, index, batch_size))
        sums, counts = metrics["loss"]
        return states, total + jnp.mean(sums / counts)

    states, total = jax.lax.fori_loop(0, steps, body, (states, jnp.zeros(())))
    return states, total / steps


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))
