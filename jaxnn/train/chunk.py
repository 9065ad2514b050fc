"""The compiled functions of a run: an epoch as a few calls, whatever the number of its steps.

A chunk of steps is one `while` loop with a traced trip count, so it compiles once for every
length and gives the same bits for each. The functions stand at the level of the module and
take a static `Program`, so a second run of the same recipe finds them compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.data.batches import epoch_order, in_order, size, steps_in, take
from jaxnn.metrics import Sums, result
from jaxnn.train.compilation import QuickJit
from jaxnn.train.evaluation import added, results
from jaxnn.train.program import Program
from jaxnn.train.state import has_stopped

__all__ = [
    "Tally",
    "chunk",
    "next_piece",
    "single",
    "start_epoch",
    "start_tally",
    "train_chunk",
    "train_rows",
]


class Tally(NamedTuple):
    """What an epoch has measured so far."""

    done: jax.Array  # () int32: steps
    sums: dict[str, Sums]  # metric -> (sum, count), or an accumulator
    series: dict[str, jax.Array]  # metric -> (steps,) its value at each step, where it is scalar
    probes: tuple[Any, ...]  # the memory of each probe


# Jitted within what is jitted, so that it is traced once and found again: for the shapes of its
# outputs, and by the loop that contains it.
@partial(jax.jit, static_argnums=0, inline=True)
def _step(program: Program, state: Any, batch: Any) -> Any:
    return program.run_step(state, batch)


@partial(QuickJit, static_argnums=0)
def start_epoch(
    program: Program, state: Any, data: Any, key: jax.Array, epoch: jax.Array
) -> tuple[jax.Array, Tally]:
    """The order of an epoch's rows, and an empty tally."""
    order = epoch_order(key, epoch, size(data), program.batch_size)
    batch = take(data, order, jnp.int32(0), program.batch_size)
    return order, _start_tally(program, state, batch, steps_in(size(data), program.batch_size))


@partial(jax.jit, static_argnums=(0, 3))
def start_tally(program: Program, state: Any, data: Any, steps: int) -> Tally:
    """An empty tally for an epoch of streamed data, of which `data` is a piece."""
    order = in_order(size(data), program.batch_size)
    batch = take(data, order, jnp.int32(0), program.batch_size)
    return _start_tally(program, state, batch, steps)


def _start_tally(program: Program, state: Any, batch: Any, steps: int) -> Tally:
    if program.per_device:  # there is no axis of devices yet, and the shapes are the same
        program = replace(program, placement=None)
    metrics = jax.eval_shape(partial(_step, program), state, batch)[1]
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), metrics)
    values = jax.eval_shape(results, metrics)
    series = {name: jnp.zeros(steps, v.dtype) for name, v in values.items() if v.ndim == 0}
    probes = tuple(probe.init(state) for probe in program.probes)
    return Tally(jnp.int32(0), zeros, series, probes)


@jax.jit
def next_piece(tally: Tally) -> Tally:
    """The tally with the series of its steps begun anew."""
    zeros = jax.tree.map(jnp.zeros_like, tally.series)
    return tally._replace(done=jnp.int32(0), series=zeros)


def chunk(
    program: Program,
    state: Any,
    tally: Tally,
    data: Any,
    order: jax.Array,
    start: jax.Array,
    count: jax.Array,
) -> tuple[Any, Tally]:
    """Steps `start` to `start + count` of an epoch; none once the run has stopped."""
    end, ahead = start + count, program.steps_ahead(data)
    if ahead == 1:
        batch_of = partial(program.take, data, order)
        _, state, tally = _steps(program, batch_of, end, (start, state, tally))
        return state, tally
    rows = ahead * program.batch_size
    order = jnp.pad(order, (0, -order.shape[0] % rows))

    def window(carry: _Carry) -> _Carry:
        number = carry[0] // ahead
        block = take(data, order, number, rows)  # with the weights of its padding

        def batch_of(index: jax.Array) -> Any:
            first = (index - number * ahead) * program.batch_size
            return jax.tree.map(
                lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, program.batch_size), block
            )

        return _steps(program, batch_of, jnp.minimum(end, (number + 1) * ahead), carry)

    _, state, tally = jax.lax.while_loop(partial(_going, end), window, (start, state, tally))
    return state, tally


_Carry = tuple[jax.Array, Any, Tally]  # the next step's index, the state, what was measured


def _steps(
    program: Program, batch_of: Callable[[jax.Array], Any], end: jax.Array, carry: _Carry
) -> _Carry:
    """Steps up to `end`."""

    def body(carry: _Carry) -> _Carry:
        index, state, tally = carry
        return index + 1, *_tallied_step(program, state, tally, batch_of(index), index)

    return jax.lax.while_loop(partial(_going, end), body, carry)


def _going(end: jax.Array, carry: _Carry) -> jax.Array:
    index, state, _ = carry
    return (index < end) & ~has_stopped(state)


def single(
    program: Program, state: Any, tally: Tally, data: Any, rows: jax.Array, index: jax.Array
) -> tuple[Any, Tally]:
    """One step on these rows of the data, none of them padding; none once the run has stopped."""
    batch = program.take_rows(data, rows)

    def step(state: Any, tally: Tally) -> tuple[Any, Tally]:
        return _tallied_step(program, state, tally, batch, index)

    return jax.lax.cond(has_stopped(state), lambda *carry: carry, step, state, tally)


train_chunk = partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))(chunk)
train_rows = partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))(single)


def _tallied_step(
    program: Program, state: Any, tally: Tally, batch: Any, index: jax.Array
) -> tuple[Any, Tally]:
    state, metrics, trace = _step(program, state, batch)
    probes = tuple(
        probe.update(memory, trace)
        for probe, memory in zip(program.probes, tally.probes, strict=True)
    )
    if "skipped" in metrics:  # a step that was left out is no part of any diagnostic either
        good = metrics["skipped"][0] == 0
        probes = jax.tree.map(lambda a, b: jnp.where(good, a, b), probes, tally.probes)
    series = {
        name: values.at[index].set(result(metrics[name])) for name, values in tally.series.items()
    }
    tally = Tally(index + 1, added(tally.sums, metrics), series, probes)
    if program.placement is not None and not program.per_device:
        tally = program.placement.everywhere(tally)
    return state, tally
