"""The end of an epoch on the device: evaluation, and the controllers' decisions."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.optim import last_rate
from jaxnn.recipe import build
from jaxnn.train.chunk import Tally
from jaxnn.train.control import control
from jaxnn.train.evaluation import metric_sums, results
from jaxnn.train.program import Program
from jaxnn.train.state import Skips, TrainState, has_stopped

__all__ = ["Measured", "end_epoch"]


class Measured(NamedTuple):
    """What an epoch has measured, on the device."""

    values: dict[str, jax.Array]  # scalars and arrays by name
    stopped: jax.Array  # () bool: whether the run ends here
    skips: Skips | None  # where steps that are not finite are skipped


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
    values = {f"train/{name}": value for name, value in results(tally.sums).items()}
    for probe, memory in zip(program.probes, tally.probes, strict=True):
        values |= probe.summarize(memory)
    if program.make_recipe is not None and val is not None:
        val_sums = metric_sums(
            program.make_recipe, program.eval_batch_size, program.placement, state, val
        )
    if val_sums is not None:
        values |= {f"val/{name}": value for name, value in results(val_sums).items()}
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


def _select(condition: jax.Array, if_true: jax.Array, if_false: jax.Array) -> jax.Array:
    return if_true if if_true is if_false else jnp.where(condition, if_true, if_false)
