"""The compiled functions of a run: an epoch as a few calls, whatever the number of its steps.

A chunk of steps is one `while` loop with a traced trip count, so it compiles once for every
length and gives the same bits for each. The functions stand at the level of the module and
take a static `Program`, so a second run of the same recipe finds them compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.data.batches import epoch_order, in_order, size, steps_in, take, with_weight
from jaxnn.metrics import Sums, add, as_pairs, result
from jaxnn.optim import last_rate
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.control import control
from jaxnn.train.placement import Placement
from jaxnn.train.protocols import Probe, StepTrace
from jaxnn.train.state import Skips, TrainState
from jaxnn.train.step import eval_step, traced_step

__all__ = [
    "Measured",
    "Program",
    "Step",
    "Tally",
    "chunk",
    "end_epoch",
    "evaluate",
    "evaluate_more",
    "has_stopped",
    "next_piece",
    "results",
    "single",
    "start_epoch",
    "start_tally",
    "train_chunk",
    "train_rows",
]

Step = Callable[[Any, Any], tuple[Any, Mapping[str, Any]]]


@dataclass(frozen=True)
class Program:
    """The static part of a run: what the compiled functions are specialized to.

    Attributes:
      make_recipe: None where the state is the user's own.
      step: the user's own step, or None for `train_step`.
      probes: see `jaxnn.train.protocols`.
      batch_size: rows of a training batch.
      accumulate: parts in which it is taken.
      eval_batch_size: rows of a batch in evaluation.
      unpadded: whether a ragged last batch is run in a shape of its own, since the model
        would see padding in its running statistics.
      placement: of several devices, or None for one.
    """

    make_recipe: MakeRecipe | None
    step: Step | None
    probes: tuple[Probe, ...]
    batch_size: int
    accumulate: int
    eval_batch_size: int
    unpadded: bool = False
    placement: Placement | None = None

    @property
    def per_device(self) -> bool:
        """Whether the steps run as a program of each device's own."""
        return self.placement is not None and self.placement.per_device

    def run_step(self, state: Any, batch: Any) -> tuple[Any, dict[str, Sums], StepTrace | None]:
        """One step by the user's own function or by ours."""
        state = self.hold(state)  # else the compiler may divide more, and gather it for each use
        with nullcontext() if self.placement is None else self.placement.current():
            if self.step is None:
                assert self.make_recipe is not None  # refused at the boundary
                state, metrics, trace = traced_step(self.make_recipe, state, batch, self.accumulate)
            else:
                state, metrics = self.step(state, batch)
                metrics, trace = as_pairs(metrics), None
        return self.hold(state), metrics, trace

    def take(self, data: Any, order: jax.Array, index: jax.Array) -> Any:
        """A training batch: all of it, or of a device's own program its share."""
        share = partial(self._share, data) if self.per_device else None
        return self._split(take(data, order, index, self.batch_size, share))

    def take_rows(self, data: Any, rows: jax.Array) -> Any:
        """A training batch of these rows, none of them padding."""
        real = jnp.ones(rows.shape, bool)
        if self.per_device:
            rows, real = self._share(data, rows), self._share(data, real)
        return self._split(with_weight(jax.tree.map(lambda leaf: leaf[rows], data), real))

    def hold(self, state: Any) -> Any:
        """A new state, kept where the old one lay."""
        if self.placement is None or self.per_device:
            return state
        return self.placement.hold(state)

    def _split(self, batch: Any) -> Any:
        # A batch that is taken in parts is split where it is parted.
        if self.placement is None or self.per_device or self.accumulate > 1:
            return batch
        return self.placement.split(batch)

    def _share(self, data: Any, values: jax.Array) -> jax.Array:
        assert self.placement is not None
        rows, devices = values.shape[0] // self.accumulate, self.placement.count
        if rows % devices and (self.unpadded or not isinstance(data, Mapping)):
            why = (
                "the model keeps running statistics and does not take weight="
                if self.unpadded
                else "a batch that is no dict has no place for weights"
            )
            raise ValueError(
                f"devices='pmap' fills a batch up with rows of weight 0, but {why}: batch_size, "
                f"and a ragged last batch, must divide by the {devices} devices, got {rows} rows; "
                "devices='sharded' takes any number"
            )
        return self.placement.share(values, self.accumulate)


class Tally(NamedTuple):
    """What an epoch has measured so far."""

    done: jax.Array  # () int32: steps
    sums: dict[str, Sums]  # metric -> (sum, count), or an accumulator
    series: dict[str, jax.Array]  # metric -> (steps,) its value at each step, where it is scalar
    probes: tuple[Any, ...]  # the memory of each probe


class Measured(NamedTuple):
    """What an epoch has measured, on the device."""

    values: dict[str, jax.Array]  # scalars and arrays by name
    stopped: jax.Array  # () bool: whether the run ends here
    skips: Skips | None  # where steps that are not finite are skipped


# Jitted within what is jitted, so that each is traced once and found again: for the shapes of
# its outputs, and by the loop that contains it.
@partial(jax.jit, static_argnums=0, inline=True)
def _step(program: Program, state: Any, batch: Any) -> Any:
    return program.run_step(state, batch)


_eval_step = partial(jax.jit, static_argnums=0, inline=True)(eval_step)


@partial(jax.jit, static_argnums=0)
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
    values = jax.eval_shape(_results, metrics)
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

    def body(carry: tuple[jax.Array, Any, Tally]) -> tuple[jax.Array, Any, Tally]:
        index, state, tally = carry
        batch = program.take(data, order, index)
        return index + 1, *_tallied_step(program, state, tally, batch, index)

    def going(carry: tuple[jax.Array, Any, Tally]) -> jax.Array:
        index, state, _ = carry
        return (index < start + count) & ~has_stopped(state)

    _, state, tally = jax.lax.while_loop(going, body, (start, state, tally))
    return state, tally


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
    tally = Tally(index + 1, _added(tally.sums, metrics), series, probes)
    if program.placement is not None and not program.per_device:
        tally = program.placement.everywhere(tally)
    return state, tally


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def end_epoch(
    program: Program, state: Any, tally: Tally, val: Any, val_sums: Any = None
) -> tuple[Any, Measured]:
    """Evaluate, and let the controllers act on what the epoch measured.

    Args:
      program: the static part.
      state: at the end of the epoch.
      tally: of the epoch.
      val: validation data on the device, or None.
      val_sums: the metrics of validation data that was streamed instead, or None.
    """
    values = {f"train/{name}": value for name, value in _results(tally.sums).items()}
    for probe, memory in zip(program.probes, tally.probes, strict=True):
        values |= probe.summarize(memory)
    if program.make_recipe is not None and val is not None:
        val_sums = _evaluate(
            program.make_recipe, program.eval_batch_size, program.placement, state, val
        )
    if val_sums is not None:
        values |= {f"val/{name}": value for name, value in _results(val_sums).items()}
    if program.make_recipe is not None and isinstance(state, TrainState):
        recipe = build(program.make_recipe, state.knobs, state.step)
        rate = last_rate(state.opt_state)
        values["learning_rate" if rate is not None else "rate_scale"] = (
            rate if rate is not None else state.control.scale
        )
        scalars = {name: value for name, value in values.items() if value.ndim == 0}
        controlled = control(recipe, state, scalars)
        stopped = has_stopped(state)  # a stopped run is let rest, controllers included
        state = jax.tree.map(lambda old, new: _select(stopped, old, new), state, controlled)
    skips = state.control.skips if isinstance(state, TrainState) else None
    measured = Measured(values, has_stopped(state), skips)
    if program.placement is not None:
        return program.placement.hold(state), program.placement.everywhere(measured)
    return state, measured


def has_stopped(state: Any) -> jax.Array:
    """Whether a controller has ended the run; never, for a state of the user's own."""
    return state.control.stop if isinstance(state, TrainState) else jnp.zeros((), bool)


def _select(condition: jax.Array, if_true: jax.Array, if_false: jax.Array) -> jax.Array:
    return if_true if if_true is if_false else jnp.where(condition, if_true, if_false)


def _added(a: dict[str, Sums], b: dict[str, Sums]) -> dict[str, Sums]:
    return {name: add(a[name], b[name]) for name in a}


def _results(sums: dict[str, Sums]) -> dict[str, jax.Array]:
    return {name: result(of_metric) for name, of_metric in sums.items()}


def _evaluate(
    make_recipe: MakeRecipe,
    batch_size: int,
    placement: Placement | None,
    state: Any,
    data: Any,
    first: Any = 0,
) -> dict[str, Sums]:
    order = in_order(size(data), batch_size)

    def metrics_of(index: jax.Array) -> dict[str, Sums]:
        index = index.astype(jnp.int32)  # the loop's is weakly typed, which is another trace
        batch = take(data, order, index, batch_size)
        if placement is not None:
            batch = placement.split(batch)
        return _eval_step(make_recipe, state, batch, first + index)

    # The first batch stands before the loop, so that the sums have a type to start from.
    return jax.lax.fori_loop(
        1,
        steps_in(size(data), batch_size),
        lambda index, sums: _added(sums, metrics_of(index)),
        metrics_of(jnp.int32(0)),
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def evaluate(
    make_recipe: MakeRecipe,
    batch_size: int,
    placement: Placement | None,
    state: TrainState,
    data: Any,
) -> dict[str, jax.Array]:
    """The metrics of a data set, each divided once."""
    values = _results(_evaluate(make_recipe, batch_size, placement, state, data))
    return values if placement is None else placement.everywhere(values)


@partial(jax.jit, static_argnums=0)
def evaluate_more(
    program: Program, state: Any, sums: Any, data: Any, first: jax.Array
) -> dict[str, Sums]:
    """The metrics of a piece of a data set, its batches counted from `first`, added to `sums`."""
    assert program.make_recipe is not None
    placement = program.placement
    of_piece = _evaluate(
        program.make_recipe, program.eval_batch_size, placement, state, data, first
    )
    sums = of_piece if sums is None else _added(sums, of_piece)
    return sums if placement is None else placement.everywhere(sums)


@jax.jit
def results(sums: dict[str, Sums]) -> dict[str, jax.Array]:
    """What the sums of an evaluation come to."""
    return _results(sums)
