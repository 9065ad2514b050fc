"""The protocol of a controller, and the functions by which a run lets its controllers act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from jaxnn.recipe import Recipe
from jaxnn.train.step.state import TrainState

__all__ = ["Controller", "control", "finish"]


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


def control(recipe: Recipe, state: TrainState, values: Mapping[str, jax.Array]) -> TrainState:
    """Let every controller of the recipe act on the values of an epoch.

    Args:
      recipe: the recipe, built for the state's knobs.
      state: the state at the end of the epoch.
      values: the epoch's scalars by name, such as "val/loss".

    Returns:
      The state with which the next epoch starts.

    Raises:
      ValueError: a controller watches a name that the run does not measure.
    """
    for i, controller in enumerate(recipe.controllers):
        if controller.monitor not in values:
            raise ValueError(
                f"monitor must be one of the values that the run measures, {sorted(values)}, "
                f"got {controller.monitor!r} of {type(controller).__name__}"
            )
        memory = state.control.memory
        mine, state = controller.update(memory[i], state, values[controller.monitor])
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
