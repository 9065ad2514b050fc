"""What an epoch has measured so far, on the device."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxnn.data.batches import in_order, size, take
from jaxnn.metrics.sums import Sums
from jaxnn.train.devices.compilation import quickly
from jaxnn.train.loop.cohorts import MEMBERS
from jaxnn.train.loop.evaluation import results
from jaxnn.train.loop.program import Program
from jaxnn.train.step.state import TrainState, member_axes

__all__ = [
    "Tally",
    "emptied",
    "next_series",
    "start_tally",
    "step_of",
    "tally_shapes",
    "with_probes",
]


class Tally(NamedTuple):
    """What an epoch has measured so far; of a population each leaf is (cohorts, width, …)."""

    done: jax.Array  # () int32: steps since the series began
    sums: dict[str, Sums]  # metric -> (sum, count), or an accumulator
    series: dict[str, jax.Array]  # metric -> (steps,) its value at each step, where it is scalar
    probes: tuple[Any, ...]  # the memory of each probe


# Jitted inside what is jitted: one trace serves the shapes of its outputs and the loop.
@partial(jax.jit, static_argnums=0, inline=True)
def step_of(program: Program, state: TrainState, batch: Any) -> Any:
    """`Program.run_step`, traced once."""
    return program.run_step(state, batch)


def start_tally(program: Program, state: TrainState, data: Any, steps: int) -> Tally:
    """Make an empty tally for series of `steps` steps.

    It is made of zeros on the host, so that nothing is compiled for it; probes alone begin
    with what their `init` computes.
    """
    shapes = tally_shapes(program, state, data, steps)
    tally = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    if program.placement is not None:
        tally = program.placement.replicate(tally)
    elif program.mesh is not None:
        tally = jax.device_put(tally, NamedSharding(program.mesh, PartitionSpec(MEMBERS)))
    else:
        tally = jax.tree.map(jax.device_put, tally)
    return with_probes(program, tally, state, data)


def with_probes(program: Program, tally: Tally, state: TrainState, data: Any) -> Tally:
    """The tally with the memory that each probe begins an epoch with."""
    if not program.probes:
        return tally
    return tally._replace(probes=quickly(_probes, (0,))(program, state, data))


def emptied(tally: Tally) -> Tally:
    """An empty tally like this one, its probes left out; for use within `jit`."""
    return jax.tree.map(jnp.zeros_like, tally._replace(probes=()))


@partial(jax.jit, static_argnums=(0, 3))
def _tally_shapes(program: Program, state: TrainState, data: Any, steps: int) -> Tally:
    if program.width is None:
        return _zeros(program, steps, state, data)
    # Members of cohorts: two axes before those of one member.
    axes = member_axes(state)
    one = jax.vmap(partial(_zeros, program, steps), in_axes=(axes, None))
    return jax.vmap(one, in_axes=(axes, None))(state, data)


def _zeros(program: Program, steps: int, state: TrainState, data: Any) -> Tally:
    metrics, shown = _step_shapes(program, state, data)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), metrics)
    values = jax.eval_shape(results, metrics)
    series = {name: jnp.zeros(steps, v.dtype) for name, v in values.items() if v.ndim == 0}
    return Tally(jnp.int32(0), zeros, series, _memories(program, state, shown))


def _step_shapes(program: Program, state: TrainState, data: Any) -> tuple[Any, Any]:
    """The shapes of what a step measures, and of what it shows to each probe."""
    if program.per_device:  # the shapes are those of one device
        program = replace(program, placement=None)

    def first_step(state: TrainState, data: Any) -> Any:
        order = in_order(size(data), program.batch_size)
        return step_of(program, state, take(data, order, jnp.int32(0), program.batch_size))

    return jax.eval_shape(first_step, state, data)[1:]


def _memories(program: Program, state: TrainState, shown: Any) -> tuple[Any, ...]:
    return tuple(
        probe.init(state, shapes) for probe, shapes in zip(program.probes, shown, strict=True)
    )


def tally_shapes(program: Program, state: TrainState, data: Any, steps: int) -> Tally:
    """The shapes of a tally, by a trace that is made once for all epochs."""
    return _tally_shapes.eval_shape(program, state, data, steps)


@partial(jax.jit, static_argnums=0)
def _probes(program: Program, state: TrainState, data: Any) -> tuple[Any, ...]:
    """The memory of each probe at the start of an epoch."""

    def init(state: TrainState) -> tuple[Any, ...]:
        return _memories(program, state, _step_shapes(program, state, data)[1])

    if program.width is None:
        return program.replicate(init(state))
    axes = member_axes(state)
    return jax.vmap(jax.vmap(init, in_axes=(axes,)), in_axes=(axes,))(state)


@jax.jit
def next_series(tally: Tally) -> Tally:
    """The tally with the series of its steps begun anew."""
    return tally._replace(
        done=jnp.zeros_like(tally.done),
        series=jax.tree.map(jnp.zeros_like, tally.series),
    )
