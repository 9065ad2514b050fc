"""Controllers of the learning rate, which lower the factor `control.scale` of any rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_knob
from jaxnn.optim.stagnation import PlateauRule, PlateauState, improvement, plateau_rule, worst
from jaxnn.train.control.protocol import Mode, as_knob, mode_of, told_mode
from jaxnn.train.step.state import TrainState

__all__ = [
    "HalveAndGoBack",
    "HalveOnRise",
    "Plateau",
    "halve_and_go_back",
    "halve_on_rise",
    "plateau",
]


def _rescaled(state: TrainState, scale: jax.Array) -> TrainState:
    scale = scale.astype(state.control.scale.dtype)
    return state.replace(control=state.control.replace(scale=scale))


@dataclass(frozen=True, eq=False)
class Plateau:
    """The controller that `plateau` builds."""

    rule: PlateauRule
    monitor: str
    mode: Mode | None  # None until the recipe has put the direction of the metric here

    def init(self, state: TrainState) -> PlateauState:
        return self._rule.init()

    def update(
        self, memory: PlateauState, state: TrainState, value: jax.Array
    ) -> tuple[PlateauState, TrainState]:
        # Other controllers may change the scale too, so this one multiplies by its own change.
        new = self._rule.update(memory, value)
        change = jnp.where(memory.scale > 0, new.scale / memory.scale, 1)
        return new, _rescaled(state, state.control.scale * change)

    def finish(self, memory: PlateauState, state: TrainState) -> TrainState:
        return state

    @property
    def _rule(self) -> PlateauRule:
        return replace(self.rule, mode=told_mode(self))


def plateau(
    factor: float | jax.Array = 0.1,
    patience: int = 10,
    *,
    monitor: str = "val/loss",
    mode: Mode | None = None,
    rtol: float | jax.Array = 1e-4,
    atol: float | jax.Array = 0.0,
    cooldown: int = 0,
    min_scale: float | jax.Array = 0.0,
    counting: Literal["optax", "pytorch", "keras"] = "optax",
    accumulation_size: int = 1,
) -> Plateau:
    """Lower the learning rate in `fit` when a value stops improving ("performance scheduling").

    This is the controller. It runs the rule `jaxnn.optim.plateau_rule` on the evaluations of a
    run; `jaxnn.optim.reduce_on_plateau` runs the same rule in a training loop of your own.
    `plateau(0.1, monitor="train/loss")` divides the rate by 10 when training stagnates, as
    lecture C advises.

    Args:
      factor: what the rate is multiplied by at each drop, in [0, 1].
      patience: number of evaluations without improvement before a drop, at least 0.
      monitor: name of the watched value in the epoch's record.
      mode: "min" if the value should fall, "max" if it should rise. None: the direction that
        the metric carries, see `jaxnn.metrics.direction`.
      rtol, atol, cooldown, min_scale, counting: as in `jaxnn.optim.plateau_rule`. The
        scale multiplies the optimizer's own rate or schedule.
      accumulation_size: number of evaluations whose mean counts as one, at least 1; Optax's
        argument. Where a run is evaluated every few steps, single values are noisy.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value is outside its range.

    >>> plateau(0.5, patience=3).monitor
    'val/loss'

    Source: lectures C, M and N.
    """
    mode = mode_of(monitor, mode)
    rule = plateau_rule(
        factor,
        patience,
        mode="min" if mode is None else mode,
        rtol=as_knob(rtol),
        atol=as_knob(atol),
        cooldown=cooldown,
        min_scale=as_knob(min_scale),
        counting=counting,
        accumulation_size=accumulation_size,
    )
    return Plateau(rule, monitor, mode)


@dataclass(frozen=True, eq=False)
class HalveOnRise:
    """The controller that `halve_on_rise` builds."""

    monitor: str
    mode: Mode | None
    factor: float | jax.Array

    def init(self, state: TrainState) -> jax.Array:
        return worst(told_mode(self))  # the value of the epoch before

    def update(
        self, memory: jax.Array, state: TrainState, value: jax.Array
    ) -> tuple[jax.Array, TrainState]:
        value = value.astype(memory.dtype)
        rose = improvement(memory, value, told_mode(self))  # the epoch before was better
        scale = state.control.scale
        before = jnp.where(jnp.isnan(value), memory, value)
        return before, _rescaled(state, jnp.where(rose, scale * self.factor, scale))

    def finish(self, memory: jax.Array, state: TrainState) -> TrainState:
        return state


def halve_on_rise(
    factor: float | jax.Array = 0.5, *, monitor: str = "val/loss", mode: Mode | None = None
) -> HalveOnRise:
    """Halve the learning rate after each epoch in which the validation error rose.

    Parameters stay as they are; `halve_and_go_back` returns to earlier ones.

    Args:
      factor: what the rate is multiplied by, in [0, 1]; a float or a traced scalar.
      monitor: name of the watched value in the epoch's record.
      mode: "min" if the value should fall, "max" if it should rise. None: the direction that
        the metric carries, see `jaxnn.metrics.direction`.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value is outside its range.

    >>> halve_on_rise().factor
    0.5

    Source: lecture L.
    """
    check_knob("factor", factor, 0, 1)
    return HalveOnRise(monitor, mode_of(monitor, mode), factor)


class GoBackMemory(struct.PyTreeNode):
    """Memory of `halve_and_go_back`: the best value and everything to go back to."""

    best: jax.Array  # () the best value so far
    wait: jax.Array  # () int32: evaluations since the last improvement or return
    point: Any  # params, model_state, opt_state, averaged of the best evaluation


@dataclass(frozen=True, eq=False)
class HalveAndGoBack:
    """The controller that `halve_and_go_back` builds."""

    monitor: str
    mode: Mode | None
    patience: int
    factor: float | jax.Array
    rtol: float | jax.Array
    atol: float | jax.Array

    def init(self, state: TrainState) -> GoBackMemory:
        return GoBackMemory(worst(told_mode(self)), jnp.zeros((), jnp.int32), _point(state))

    def update(
        self, memory: GoBackMemory, state: TrainState, value: jax.Array
    ) -> tuple[GoBackMemory, TrainState]:
        value = value.astype(memory.best.dtype)
        better = improvement(value, memory.best, told_mode(self), self.rtol, self.atol)
        wait = jnp.where(better, 0, memory.wait + 1)
        back = wait > self.patience
        point = jax.tree.map(lambda a, b: jnp.where(better, a, b), _point(state), memory.point)
        chosen = jax.tree.map(lambda a, b: jnp.where(back, a, b), point, _point(state))
        memory = GoBackMemory(
            best=jnp.where(better, value, memory.best),
            wait=jnp.where(back, 0, wait).astype(jnp.int32),
            point=point,
        )
        scale = state.control.scale
        state = state.replace(**chosen)
        return memory, _rescaled(state, jnp.where(back, scale * self.factor, scale))

    def finish(self, memory: GoBackMemory, state: TrainState) -> TrainState:
        return state


def _point(state: TrainState) -> dict[str, Any]:
    return {
        "params": state.params,
        "model_state": state.model_state,
        "opt_state": state.opt_state,
        "averaged": state.averaged,
    }


def halve_and_go_back(
    factor: float | jax.Array = 0.5,
    patience: int = 0,
    *,
    monitor: str = "val/loss",
    mode: Mode | None = None,
    rtol: float | jax.Array = 0.0,
    atol: float | jax.Array = 0.0,
) -> HalveAndGoBack:
    """Keep the rate while validation improves; otherwise halve it and return to the best point.

    Parameters, optimizer state (its moments and the position in its schedules), model state and
    average all return to their values at the best evaluation. With a patience of 0 that is the
    evaluation before. The count of steps goes on, so that the next steps draw anew.

    Args:
      factor: what the rate is multiplied by, in [0, 1].
      patience: number of evaluations without improvement that are tolerated, at least 0.
      monitor: name of the watched value in the epoch's record.
      mode: "min" if the value should fall, "max" if it should rise. None: the direction that
        the metric carries, see `jaxnn.metrics.direction`.
      rtol, atol: by how much a value must beat the best, see `jaxnn.optim.plateau_rule`.

    Each float may be a traced scalar.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value is outside its range.

    >>> halve_and_go_back(patience=2).patience
    2

    Source: lecture L.
    """
    rtol, atol = as_knob(rtol), as_knob(atol)
    rule = plateau_rule(factor, patience, rtol=rtol, atol=atol)  # checks them all
    return HalveAndGoBack(monitor, mode_of(monitor, mode), rule.patience, factor, rtol, atol)
