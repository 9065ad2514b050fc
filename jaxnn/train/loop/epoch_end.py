"""Evaluation on the device, at the end of an epoch or within it, and what controllers decide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jaxnn.optim.rate import last_rate
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.control.protocol import control
from jaxnn.train.loop.cohorts import MEMBERS, each_cohort, over_members, spread
from jaxnn.train.loop.evaluation import added, metric_sums, results
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.tally import Tally, emptied
from jaxnn.train.step.skipping import all_finite
from jaxnn.train.step.state import Skips, TrainState, member_axes

__all__ = ["Measured", "end_epoch", "evaluate_more", "evaluate_within"]


class Measured(NamedTuple):
    """What an epoch has measured, on the device; of a population (cohorts, width, …)."""

    values: dict[str, jax.Array]  # scalars and arrays by name
    stopped: jax.Array  # () bool: whether the run ends here
    skips: Skips  # steps that were skipped because they were not finite


@partial(jax.jit, static_argnums=(0, 6), donate_argnums=1)
def end_epoch(
    program: Program,
    state: TrainState,
    tally: Tally,
    val: Any,
    val_sums: Any = None,
    live: jax.Array | None = None,
    evaluates: bool = True,
) -> tuple[TrainState, Measured, Tally]:
    """Evaluate, and let the controllers act on what the epoch measured.

    Args:
      program: the static part.
      state: at the end of the epoch; donated.
      tally: of the epoch.
      val: validation data on the device, or None.
      val_sums: the metrics of validation data that was streamed instead, or None.
      live: () int32, the number of live cohorts of a population; None for a single run.
      evaluates: whether this epoch ends with an evaluation; static.

    Returns:
      The state, what the epoch measured, and an empty tally for the next epoch, which costs
      nothing here.
    """
    empty = _everywhere(program, emptied(tally))
    measure = partial(_end_epoch, program, evaluates)
    return *_of_all(program, measure, state, (tally, val_sums), val, live), empty


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def evaluate_within(
    program: Program,
    state: TrainState,
    tally: Tally,
    val: Any,
    val_sums: Any = None,
    live: jax.Array | None = None,
) -> tuple[TrainState, Measured]:
    """Evaluate in the middle of an epoch, and let the controllers act.

    Args:
      program, state, val, val_sums, live: as in `end_epoch`.
      tally: of the epoch so far; it goes on.

    Returns:
      The state and what was measured; "train/loss" and its like are of the epoch so far.
    """
    measure = partial(_end_epoch, program, True)
    return _of_all(program, measure, state, (tally, val_sums), val, live)


def _of_all(
    program: Program,
    measure: Callable[..., tuple[TrainState, Measured]],
    state: TrainState,
    given: Any,
    val: Any,
    live: jax.Array | None,
) -> tuple[TrainState, Measured]:
    """Apply `measure` to a single run, or to every member of the live cohorts."""
    if live is None:
        state, measured = measure(state, given, val)
        return program.constrain(state), _everywhere(program, measured)

    def cohorts(state: TrainState, given: Any, val: Any, live: jax.Array) -> Any:
        def cohort(state: TrainState, given: Any) -> tuple[TrainState, Measured]:
            return over_members(measure, state, shared=1)(state, given, val)

        one_cohort = jax.tree.map(lambda leaf: leaf[0], given)
        shapes = jax.eval_shape(cohort, _first_cohort(state), one_cohort)[1]
        count = state.control.stop.shape[0]
        like = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), shapes)
        return each_cohort(cohort, live, state, given, like)

    return spread(cohorts, program.mesh)(state, given, val, live)


def _end_epoch(
    program: Program,
    evaluates: bool,
    state: TrainState,
    tally_and_sums: tuple[Tally, Any],
    val: Any,
) -> tuple[TrainState, Measured]:
    """What one member measured, and the controllers' decisions where it `evaluates`."""
    tally, val_sums = tally_and_sums
    values = {f"train/{name}": value for name, value in results(tally.sums).items()}
    for probe, memory in zip(program.probes, tally.probes, strict=True):
        values |= probe.summarize(memory)
    if program.make_recipe is not None:
        if val is not None and evaluates:
            val_sums = metric_sums(
                program.make_recipe, program.eval_batch_size, program.placement, state, val
            )
        if val_sums is not None:
            values |= {f"val/{name}": value for name, value in results(val_sums).items()}
        rate = last_rate(state.opt_state)
        values["learning_rate" if rate is not None else "rate_scale"] = (
            rate if rate is not None else state.control.scale
        )
        if evaluates:
            state = _controlled(program.make_recipe, state, values)
    if program.width is not None:
        state = _without_ruins(state)
    return state, Measured(values, state.control.stop, state.control.skips)


def _without_ruins(state: TrainState) -> TrainState:
    """A member of a population ends where its parameters are no numbers any more."""
    ruined = ~all_finite((state.params, state.model_state))
    return state.replace(control=state.control.replace(stop=state.control.stop | ruined))


def _controlled(
    make_recipe: MakeRecipe, state: TrainState, values: dict[str, jax.Array]
) -> TrainState:
    """The state after its controllers have acted, unless the run had stopped before."""
    recipe = build(make_recipe, state.knobs, state.clock)
    scalars = {name: value for name, value in values.items() if value.ndim == 0}
    controlled = control(recipe, state, scalars)
    stopped = state.control.stop
    return jax.tree.map(lambda old, new: _select(stopped, old, new), state, controlled)


@partial(jax.jit, static_argnums=0)
def evaluate_more(
    program: Program,
    state: TrainState,
    sums: Any,
    data: Any,
    first: jax.Array,
    live: jax.Array | None = None,
) -> Any:
    """Add the metrics of a chunk of validation data to `sums`.

    Args:
      program: the static part.
      state: to evaluate.
      sums: of the chunks before, or None.
      data: pytree of arrays (n, …), a whole number of batches but for the last chunk.
      first: () int32, the number of the chunk's first batch.
      live: () int32, the number of live cohorts of a population; None for a single run.
    """
    make_recipe, rows = program.make_recipe, program.eval_batch_size
    assert make_recipe is not None  # nothing else is evaluated

    def of(state: TrainState) -> Any:
        return metric_sums(make_recipe, rows, program.placement, state, data, first)

    if live is None:
        found = of(state)
    else:
        axes = member_axes(state)
        found = jax.vmap(jax.vmap(of, in_axes=(axes,)), in_axes=(axes,))(state)
    sums = found if sums is None else added(sums, found)
    return _everywhere(program, sums)


def _first_cohort(state: TrainState) -> TrainState:
    def first(axis: Any, below: Any) -> Any:
        return below if axis is None else jax.tree.map(lambda leaf: leaf[0], below)

    axes = member_axes(state)
    return jax.tree.map(first, axes, state, is_leaf=lambda node: node is None)


def _everywhere(program: Program, tree: Any) -> Any:
    if program.mesh is not None:  # as the arguments of the next call lay before, or it compiles
        own = NamedSharding(program.mesh, PartitionSpec(MEMBERS))
        return jax.lax.with_sharding_constraint(tree, own)
    return tree if program.placement is None else program.placement.everywhere(tree)


def _select(condition: jax.Array, if_true: jax.Array, if_false: jax.Array) -> jax.Array:
    return if_true if if_true is if_false else jnp.where(condition, if_true, if_false)
