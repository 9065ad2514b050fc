"""A chunk of steps as one compiled call, of one run or of a population.

The steps are one `while` loop with a traced trip count. So it compiles once for every number of
steps, and gives the same bits for each. The functions stand at the level of the module and take
a static `Program`, so a second run of the same recipe finds them compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.data.batches import epoch_order, size, take
from jaxnn.metrics.sums import result
from jaxnn.train.loop.cohorts import each_cohort, over_members, select_members, spread
from jaxnn.train.loop.due import Due, due_sets, is_due, sees
from jaxnn.train.loop.evaluation import added
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.tally import Tally, step_of
from jaxnn.train.step.state import TrainState

__all__ = ["train_chunk", "train_rows"]


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def train_chunk(
    program: Program,
    state: TrainState,
    tally: Tally,
    data: Any,
    order: jax.Array,
    start: jax.Array,
    count: jax.Array,
    live: jax.Array | None = None,
) -> tuple[TrainState, Tally]:
    """Take steps `start` to `start + count` of an epoch; none once the run has stopped.

    Args:
      program: the static part.
      state: donated. Of a population, the members' leaves are (cohorts, width, …).
      tally: what the epoch has measured so far; donated.
      data: pytree of arrays (n, …) on the device.
      order: (at least n,) int32, the rows in the order of training; where members have batches
        of their own, () int32, the number of the epoch from 0.
      start: () int32, the first step.
      count: () int32, the number of steps.
      live: () int32, the number of live cohorts of a population; None for a single run.
    """
    return _run(program, _chunk, state, tally, (data, order, start, count), count, live)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def train_rows(
    program: Program,
    state: TrainState,
    tally: Tally,
    data: Any,
    rows: jax.Array,
    index: jax.Array,
    live: jax.Array | None = None,
) -> tuple[TrainState, Tally]:
    """Take one step on these rows, none of them padding; none once the run has stopped.

    Args:
      program, state, tally, data, live: as in `train_chunk`.
      rows: (rows,) int32; where members have batches of their own, the number of the epoch.
      index: () int32, the number of the step in its epoch.
    """
    return _run(program, _single, state, tally, (data, rows, index), jnp.int32(1), live)


def _run(
    program: Program,
    steps: Callable[..., tuple[TrainState, Tally]],
    state: TrainState,
    tally: Tally,
    inputs: tuple[Any, ...],
    count: jax.Array,
    live: jax.Array | None,
) -> tuple[TrainState, Tally]:
    """Take the steps as one program, as one per device, or for each live cohort in turn."""
    run = partial(steps, program)
    if program.per_device:
        assert program.placement is not None  # it says that steps run per device
        return program.placement.on_each_device(run)(state, tally, *inputs)
    if live is None:
        return run(state, tally, *inputs)

    def cohorts(state: TrainState, tally: Tally, inputs: Any, live: jax.Array) -> Any:
        def cohort(state: TrainState, tally: Tally) -> tuple[TrainState, Tally]:
            # One select a chunk freezes members that had stopped before it. Those that stop
            # within it are frozen by the select with which a step skips what is not finite.
            stopped = state.control.stop
            new_state, new_tally = run(state, tally, *inputs)
            kept = select_members(stopped, _own(state), _own(new_state))
            return new_state.replace(**kept), select_members(stopped, tally, new_tally)

        return each_cohort(cohort, live, state, tally)

    new, tally = spread(cohorts, program.mesh)(state, tally, inputs, live)
    return new.replace(clock=state.clock + count), tally


def _own(state: TrainState) -> dict[str, Any]:
    """What a step changes of a member."""
    names = ("params", "model_state", "opt_state", "averaged", "control")
    return {name: getattr(state, name) for name in names}


_Carry = tuple[jax.Array, TrainState, Tally]  # the next step's index, the state, the tally


def _chunk(
    program: Program,
    state: TrainState,
    tally: Tally,
    data: Any,
    order: jax.Array,
    start: jax.Array,
    count: jax.Array,
) -> tuple[TrainState, Tally]:
    end, ahead = start + count, program.steps_ahead(data)
    if program.own_batches:
        orders = _own_orders(program, state, data, order)
        take_own = jax.vmap(partial(program.take, data), in_axes=(0, None))
        _, state, tally = _steps(program, partial(take_own, orders), end, (start, state, tally))
        return state, tally
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


def _single(
    program: Program,
    state: TrainState,
    tally: Tally,
    data: Any,
    rows: jax.Array,
    index: jax.Array,
) -> tuple[TrainState, Tally]:
    if program.own_batches:
        orders, ragged = _own_orders(program, state, data, rows), size(data) % program.batch_size
        last = orders[:, size(data) - ragged : size(data)]
        batch = jax.vmap(partial(program.take_rows, data))(last)
    else:
        batch = program.take_rows(data, rows)
    carry, sets = (index, state, tally), due_sets(program.probes)
    for due in sets:
        going = _going(index + 1, carry, due=(due, sets) if len(sets) > 1 else None)
        take_step = partial(_take_step, program, due, batch)
        carry = jax.lax.cond(going, take_step, lambda carry: carry, carry)
    return carry[1:]


def _own_orders(program: Program, state: TrainState, data: Any, epoch: jax.Array) -> jax.Array:
    """The order of rows of each member of a cohort, by its own key, (width, rows)."""

    def order_of(key: jax.Array) -> jax.Array:
        return epoch_order(key, epoch, size(data), program.batch_size)

    return jax.vmap(order_of)(state.key)


def _steps(
    program: Program, batch_of: Callable[[jax.Array], Any], end: jax.Array, carry: _Carry
) -> _Carry:
    """Take the steps up to `end`."""
    sets, going = due_sets(program.probes), partial(_going, end)

    def body(due: Due, carry: _Carry) -> _Carry:
        return _take_step(program, due, batch_of(carry[0]), carry)

    if len(sets) == 1:
        return jax.lax.while_loop(going, partial(body, sets[0]), carry)

    # Loops in turn, each as long as its probes are due. A conditional at every step would keep
    # alive what both its sides read.
    def turn(carry: _Carry) -> _Carry:
        for due in sets:
            carry = jax.lax.while_loop(
                partial(_going, end, due=(due, sets)), partial(body, due), carry
            )
        return carry

    return jax.lax.while_loop(going, turn, carry)


def _going(
    end: jax.Array, carry: _Carry, due: tuple[Due, tuple[Due, ...]] | None = None
) -> jax.Array:
    """Whether there is a step to take, and a member that takes it.

    Args:
      end: index of the first step that is not taken.
      carry: before the step.
      due: asks for a step at which these cadences of probes are due, among all sets of them.
    """
    index, state, _ = carry
    going = (index < end) & ~jnp.all(state.control.stop)
    return going if due is None else going & is_due(*due, state.clock)


def _take_step(program: Program, due: Due, batch: Any, carry: _Carry) -> _Carry:
    """One step of a run, or of all members of a cohort, and what it measured."""
    index, state, tally = carry
    step: Callable[..., Any] = partial(_tallied_step, program, due)
    if program.width is not None:
        own = 1 if program.own_batches else 0
        step = over_members(step, state, own=own, shared=2 - own)
    state, tally = step(state, tally, batch, index)
    return index + 1, state, tally


def _tallied_step(
    program: Program, due: Due, state: TrainState, tally: Tally, batch: Any, index: jax.Array
) -> tuple[TrainState, Tally]:
    live = ~state.control.stop
    seeing = tuple(probe for probe in program.probes if sees(probe, due))
    state, metrics, traces = step_of(replace(program, probes=seeing), state, batch)
    found = iter(traces)
    probes = tuple(
        probe.update(memory, next(found)) if sees(probe, due) else memory
        for probe, memory in zip(program.probes, tally.probes, strict=True)
    )
    if "skipped" in metrics:  # a skipped step is no part of any diagnostic either
        good = live & (metrics["skipped"][0] == 0)
        probes = jax.tree.map(lambda a, b: jnp.where(good, a, b), probes, tally.probes)
    series = {
        name: values.at[index].set(result(metrics[name])) for name, values in tally.series.items()
    }
    done = tally.done + live.astype(tally.done.dtype)
    tally = Tally(done, added(tally.sums, metrics), series, probes)
    return state, program.replicate(tally)
