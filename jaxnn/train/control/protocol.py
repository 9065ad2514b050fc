"""What a controller is, and how a run lets its controllers act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from jaxnn.recipe import Recipe
from jaxnn.train.step.state import TrainState

__all__ = ["Controller", "control", "finish"]


@runtime_checkable
class Controller(Protocol):
    """Acts on the run after each evaluation, inside the compiled program.

    Its memory lives in `TrainState.control.memory`. It is built with the recipe, so its
    constants may be knobs.
    """

    @property
    def monitor(self) -> str:
        """The name in the epoch's record that is watched, such as "val/loss"."""
        ...

    def init(self, state: TrainState) -> Any:
        """The memory at the start of the run: a pytree of arrays."""
        ...

    def update(self, memory: Any, state: TrainState, value: jax.Array) -> tuple[Any, TrainState]:
        """The memory and the state after an evaluation gave `value`.

        It may set `state.control.scale`, by which the step multiplies the rate, and
        `state.control.stop`, and may put back older parameters.
        """
        ...

    def finish(self, memory: Any, state: TrainState) -> TrainState:
        """The state that the run hands back at its end."""
        ...


def control(recipe: Recipe, state: TrainState, values: Mapping[str, jax.Array]) -> TrainState:
    """Let every controller of the recipe act on what an epoch measured.

    Args:
      recipe: built for the state's knobs.
      state: at the end of the epoch.
      values: the epoch's scalars by name, such as "val/loss".

    Returns:
      The state that the next epoch starts from.

    Raises:
      ValueError: a controller watches what is not measured.
    """
    for i, controller in enumerate(recipe.controllers):
        if controller.monitor not in values:
            raise ValueError(
                f"monitor must be one of what the run measures, {sorted(values)}, "
                f"got {controller.monitor!r} of {type(controller).__name__}"
            )
        memory = state.control.memory
        mine, state = controller.update(memory[i], state, values[controller.monitor])
        memory = (*memory[:i], mine, *memory[i + 1 :])
        state = state.replace(control=state.control.replace(memory=memory))
    return state


def finish(recipe: Recipe, state: TrainState) -> TrainState:
    """The state that the run hands back: what each controller puts in place at the end.

    Their memories end with the run, so a state that trains on starts with fresh ones.
    """
    for controller, memory in zip(recipe.controllers, state.control.memory, strict=True):
        state = controller.finish(memory, state)
    return state.replace(control=state.control.replace(memory=()))
