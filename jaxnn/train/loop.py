"""The compiled loop: an epoch as a few calls, whatever the number of its steps.

A chunk of steps is one `while` loop with a traced trip count, so it compiles once for every
length and gives the same bits for each. The compiled functions stand at the level of the
module and take a static `Program`, so a second run of the same recipe finds them compiled.
The host only launches, and fetches an epoch's results when the next one is under way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import epoch_order, in_order, size, steps_in, take
from jaxnn.metrics import Pair, as_pairs, ratio
from jaxnn.optim import last_rate
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.control import control
from jaxnn.train.history import EpochRecord
from jaxnn.train.protocols import Probe, StepTrace
from jaxnn.train.skipping import nonfinite_message
from jaxnn.train.state import Skips, TrainState
from jaxnn.train.step import eval_step, traced_step
from jaxnn.train.transfer import copy, fetch

__all__ = ["Loop", "Measured", "Pending", "Program", "Tally", "evaluate"]

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
    """

    make_recipe: MakeRecipe | None
    step: Step | None
    probes: tuple[Probe, ...]
    batch_size: int
    accumulate: int
    eval_batch_size: int

    def run_step(self, state: Any, batch: Any) -> tuple[Any, dict[str, Pair], StepTrace | None]:
        """One step by the user's own function or by ours."""
        if self.step is None:
            assert self.make_recipe is not None  # refused at the boundary
            return traced_step(self.make_recipe, state, batch, self.accumulate)
        state, metrics = self.step(state, batch)
        return state, as_pairs(metrics), None


class Tally(NamedTuple):
    """What an epoch has measured so far."""

    done: jax.Array  # () int32: steps
    sums: dict[str, Pair]  # metric -> (sum, count)
    series: dict[str, jax.Array]  # metric -> (steps,) its value at each step
    probes: tuple[Any, ...]  # the memory of each probe


class Measured(NamedTuple):
    """What an epoch has measured, on the device."""

    done: jax.Array  # () int32: steps of the epoch that were run
    values: dict[str, jax.Array]  # scalars by name
    series: dict[str, jax.Array]  # metric -> (steps,)
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
    metrics = jax.eval_shape(partial(_step, program), state, batch)[1]
    steps = steps_in(size(data), program.batch_size)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), metrics)
    series = {name: jnp.zeros((steps,), pair[0].dtype) for name, pair in metrics.items()}
    return order, Tally(
        jnp.int32(0), zeros, series, tuple(probe.init(state) for probe in program.probes)
    )


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def train_chunk(
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
        batch = take(data, order, index, program.batch_size)
        state, metrics, trace = _step(program, state, batch)
        probes = tuple(
            probe.update(memory, trace)
            for probe, memory in zip(program.probes, tally.probes, strict=True)
        )
        if "skipped" in metrics:  # a step that was left out is no part of any diagnostic either
            good = metrics["skipped"][0] == 0
            probes = jax.tree.map(lambda a, b: jnp.where(good, a, b), probes, tally.probes)
        series = {
            name: tally.series[name].at[index].set(ratio(pair)) for name, pair in metrics.items()
        }
        return index + 1, state, Tally(index + 1, _add(tally.sums, metrics), series, probes)

    def going(carry: tuple[jax.Array, Any, Tally]) -> jax.Array:
        index, state, _ = carry
        return (index < start + count) & ~has_stopped(state)

    _, state, tally = jax.lax.while_loop(going, body, (start, state, tally))
    return state, tally


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def end_epoch(program: Program, state: Any, tally: Tally, val: Any) -> tuple[Any, Measured]:
    """Evaluate, and let the controllers act on what the epoch measured."""
    values = {f"train/{name}": ratio(pair) for name, pair in tally.sums.items()}
    for probe, memory in zip(program.probes, tally.probes, strict=True):
        values |= probe.summarize(memory)
    if program.make_recipe is not None and val is not None:
        pairs = _evaluate(program.make_recipe, program.eval_batch_size, state, val)
        values |= {f"val/{name}": ratio(pair) for name, pair in pairs.items()}
    if program.make_recipe is not None and isinstance(state, TrainState):
        recipe = build(program.make_recipe, state.knobs, state.step)
        rate = last_rate(state.opt_state)
        values["learning_rate" if rate is not None else "rate_scale"] = (
            rate if rate is not None else state.control.scale
        )
        controlled = control(recipe, state, values)
        stopped = has_stopped(state)  # a stopped run is let rest, controllers included
        state = jax.tree.map(lambda old, new: _select(stopped, old, new), state, controlled)
    skips = state.control.skips if isinstance(state, TrainState) else None
    return state, Measured(tally.done, values, tally.series, has_stopped(state), skips)


def has_stopped(state: Any) -> jax.Array:
    """Whether a controller has ended the run; never, for a state of the user's own."""
    return state.control.stop if isinstance(state, TrainState) else jnp.zeros((), bool)


def _select(condition: jax.Array, if_true: jax.Array, if_false: jax.Array) -> jax.Array:
    return if_true if if_true is if_false else jnp.where(condition, if_true, if_false)


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)


def _evaluate(make_recipe: MakeRecipe, batch_size: int, state: Any, data: Any) -> dict[str, Pair]:
    order = in_order(size(data), batch_size)

    def metrics_of(index: jax.Array) -> dict[str, Pair]:
        index = index.astype(jnp.int32)  # the loop's is weakly typed, which is another trace
        return _eval_step(make_recipe, state, take(data, order, index, batch_size), index)

    # The first batch stands before the loop, so that the sums have a type to start from.
    return jax.lax.fori_loop(
        1,
        steps_in(size(data), batch_size),
        lambda index, sums: _add(sums, metrics_of(index)),
        metrics_of(jnp.int32(0)),
    )


@partial(jax.jit, static_argnums=(0, 1))
def evaluate(
    make_recipe: MakeRecipe, batch_size: int, state: TrainState, data: Any
) -> dict[str, jax.Array]:
    """The metrics of a data set, each divided once."""
    pairs = _evaluate(make_recipe, batch_size, state, data)
    return {name: ratio(pair) for name, pair in pairs.items()}


class Pending(NamedTuple):
    """An epoch that was launched and not yet fetched."""

    epoch: int  # epochs done when it is, from 1
    measured: Measured


class Loop:
    """Drives the compiled functions, an epoch at a time.

    Args:
      program: the static part.
      state: at the end of epoch `epoch`. It is copied; the loop donates its own.
      train: training data on the device.
      val: validation data on the device, or None.
      key: root key, of the shuffle.
      epoch: epochs done.
      steps_per_call: steps of one compiled call; None: the whole epoch.
    """

    def __init__(
        self,
        program: Program,
        state: Any,
        train: Any,
        val: Any,
        key: jax.Array,
        epoch: int = 0,
        steps_per_call: int | None = None,
    ) -> None:
        self.program = program
        self.state = copy(state)
        self.epoch = epoch
        self.failure: str | None = None  # why the run cannot go on
        self._train, self._val, self._key = train, val, key
        self._steps = steps_in(size(train), program.batch_size)
        self._steps_per_call = steps_per_call or self._steps
        self._since = time.perf_counter()

    def launch(self) -> Pending:
        """Start the next epoch on the device, and do not wait for it."""
        order, tally = start_epoch(
            self.program, self.state, self._train, self._key, np.int32(self.epoch)
        )
        for start in range(0, self._steps, self._steps_per_call):
            count = min(self._steps_per_call, self._steps - start)
            self.state, tally = train_chunk(
                self.program,
                self.state,
                tally,
                self._train,
                order,
                np.int32(start),
                np.int32(count),
            )
        self.state, measured = end_epoch(self.program, self.state, tally, self._val)
        self.epoch += 1
        return Pending(self.epoch, measured)

    def collect(self, pending: Pending) -> EpochRecord:
        """Wait for an epoch, and fetch what it measured."""
        measured = fetch(pending.measured)
        self._note_failure(measured.stopped, measured.skips)
        steps = {
            name: series[: measured.done].astype(float) for name, series in measured.series.items()
        }
        values = {name: float(value) for name, value in measured.values.items()}
        if "skipped" in steps:
            _leave_out_skipped(steps, values)
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        timing = {"seconds": seconds, "examples_per_second": size(self._train) / seconds}
        return EpochRecord(
            epoch=pending.epoch,
            step=(pending.epoch - 1) * self._steps + int(measured.done),
            values={**values, **timing},
            steps=steps,
            stopped=bool(measured.stopped),
        )

    def has_ended(self) -> bool:
        """Whether the state that the loop starts from is that of a run that has ended."""
        skips = self.state.control.skips if isinstance(self.state, TrainState) else None
        stopped, skips = fetch((has_stopped(self.state), skips))
        self._note_failure(stopped, skips)
        return bool(stopped)

    def _note_failure(self, stopped: np.ndarray, skips: Skips | None) -> None:
        if stopped and skips is not None and skips.in_a_row:
            self.failure = nonfinite_message(self.state, skips)


def _leave_out_skipped(steps: dict[str, np.ndarray], values: dict[str, float]) -> None:
    """What was not measured is NaN, and not the 0 that stands in its place on the device."""
    skipped = steps["skipped"] > 0
    for name, series in steps.items():
        if name != "skipped":
            series[skipped] = math.nan
            if skipped.all():
                values[f"train/{name}"] = math.nan
