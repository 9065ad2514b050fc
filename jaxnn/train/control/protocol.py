"""The protocol of a controller, and the functions by which a run lets its controllers act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice
from jaxnn.recipe import Recipe
from jaxnn.train.step.skipping import all_finite
from jaxnn.train.step.state import TrainState

__all__ = ["Controller", "Mode", "as_knob", "control", "finish", "mode_of", "told_mode"]

Mode = Literal["min", "max"]
"""Whether the lowest or the highest value is the best."""


@runtime_checkable
class Controller(Protocol):
    """An object that acts on the run after each evaluation, inside the compiled program.

    Its memory is kept in `TrainState.control.memory`. It is built with the recipe, so its
    constants may be knobs.
    """

    @property
    def monitor(self) -> str:
        """The name of the watched value in the epoch's record, such as "val/loss"."""
        ...

    def init(self, state: TrainState) -> Any:
        """Return the memory at the start of the run, a pytree of arrays."""
        ...

    def update(self, memory: Any, state: TrainState, value: jax.Array) -> tuple[Any, TrainState]:
        """Return the memory and the state after an evaluation that gave `value`.

        It may set `state.control.scale`, by which the step multiplies the learning rate, and
        `state.control.stop`, which ends the run. It may also restore older parameters.
        """
        ...

    def finish(self, memory: Any, state: TrainState) -> TrainState:
        """Return the state that the run returns at its end."""
        ...


def mode_of(monitor: Any, mode: Any) -> Mode | None:
    """Check a controller's `monitor` and `mode`, and return the mode as far as it is known here.

    The mode of a loss is "min". That of a metric is put in its place by the recipe, which knows
    the metric.

    Raises:
      TypeError: `monitor` is not a text.
      ValueError: `mode` is not one of "min" and "max".
    """
    if not isinstance(monitor, str):
        raise TypeError(f'monitor must be a name such as "val/loss", got {monitor!r}')
    if mode is None:
        return "min" if monitor in ("val/loss", "train/loss") else None
    check_choice("mode", mode, ("min", "max"))
    return mode


def as_knob(value: Any) -> Any:
    """Return a knob; an integer as a float, since JAX takes no integer past 2³¹.

    >>> as_knob(2**40)
    1099511627776.0
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)  # the latter is refused
    return float(value) if is_integer else value


def told_mode(controller: Any) -> Mode:
    """Return the mode of a controller that begins to act.

    Raises:
      ValueError: nobody has said it.
    """
    if controller.mode is None:
        raise ValueError(
            f"mode must be 'min' or 'max' for monitor={controller.monitor!r}: only a Recipe "
            "knows the directions of its metrics"
        )
    return controller.mode


def control(recipe: Recipe, state: TrainState, values: Mapping[str, jax.Array]) -> TrainState:
    """Let every controller of the recipe act on the values of an evaluation.

    Where a loss or a weight is not finite, every controller is told NaN, which is no improvement,
    so that none of them keeps such a state as the best.

    Args:
      recipe: the recipe, built for the state's knobs.
      state: the state at the end of the epoch.
      values: the epoch's scalars by name, such as "val/loss".

    Returns:
      The state with which the next epoch starts.

    Raises:
      ValueError: a controller watches a name that the run does not measure.
    """
    losses = [values[name] for name in ("train/loss", "val/loss") if name in values]
    sound = all_finite((losses, state.params, state.model_state, state.averaged))
    for i, controller in enumerate(recipe.controllers):
        if controller.monitor not in values:
            raise ValueError(
                f"monitor must be one of the values that the run measures, {sorted(values)}, "
                f"got {controller.monitor!r} of {type(controller).__name__}"
            )
        value = values[controller.monitor]
        value = jnp.where(sound & jnp.isfinite(value), value, jnp.nan)
        memory = state.control.memory
        mine, state = controller.update(memory[i], state, value)
        memory = (*memory[:i], mine, *memory[i + 1 :])
        state = state.replace(control=state.control.replace(memory=memory))
    return state


def finish(recipe: Recipe, state: TrainState) -> TrainState:
    """Return the state that the run returns: each controller puts its final parameters in place.

    The controllers' memories end with the run, so a state that trains on starts with fresh ones.
    """
    for controller, memory in zip(recipe.controllers, state.control.memory, strict=True):
        state = controller.finish(memory, state)
    return state.replace(control=state.control.replace(memory=()))
