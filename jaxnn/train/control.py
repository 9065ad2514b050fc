"""Controllers: what acts on a run after each evaluation, inside the compiled program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_choice, check_knob, check_positive_int
from jaxnn.recipe import Recipe
from jaxnn.train.state import TrainState

__all__ = ["EarlyStopping", "EarlyStoppingMemory", "control", "early_stopping", "finish"]


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


class EarlyStoppingMemory(struct.PyTreeNode):
    """What early stopping remembers; the best weights are those of the start until it looks."""

    best: jax.Array  # () float32: the best value so far
    wait: jax.Array  # () int32: evaluations since
    params: Any
    model_state: Any
    averaged: Any


class EarlyStopping(struct.PyTreeNode):
    """See `early_stopping`."""

    monitor: str = struct.field(pytree_node=False)
    mode: str = struct.field(pytree_node=False)
    patience: int = struct.field(pytree_node=False)
    min_delta: float | jax.Array

    def init(self, state: TrainState) -> EarlyStoppingMemory:
        worst = jnp.inf if self.mode == "min" else -jnp.inf
        return EarlyStoppingMemory(
            best=jnp.asarray(worst, float),
            wait=jnp.zeros((), jnp.int32),
            params=state.params,
            model_state=state.model_state,
            averaged=state.averaged,
        )

    def update(
        self, memory: EarlyStoppingMemory, state: TrainState, value: jax.Array
    ) -> tuple[EarlyStoppingMemory, TrainState]:
        gain = memory.best - value if self.mode == "min" else value - memory.best
        better = gain > self.min_delta  # false for NaN, which is never an improvement
        found = EarlyStoppingMemory(
            best=value.astype(memory.best.dtype),
            wait=jnp.zeros((), jnp.int32),
            params=state.params,
            model_state=state.model_state,
            averaged=state.averaged,
        )
        missed = memory.replace(wait=memory.wait + 1)
        memory = jax.tree.map(lambda a, b: jnp.where(better, a, b), found, missed)
        stop = state.control.stop | (memory.wait >= self.patience)
        return memory, state.replace(control=state.control.replace(stop=stop))

    def finish(self, memory: EarlyStoppingMemory, state: TrainState) -> TrainState:
        return state.replace(
            params=memory.params, model_state=memory.model_state, averaged=memory.averaged
        )


def early_stopping(
    *,
    patience: int = 10,
    monitor: str = "val/loss",
    mode: str = "min",
    min_delta: float | jax.Array = 0.0,
) -> EarlyStopping:
    """End the run when a value stops improving, and hand back the best weights.

    The run ends at the `patience`-th evaluation in a row that is not better than the best
    by more than `min_delta`, as in Keras (PyTorch's habit is one evaluation later). The
    parameters, model state and average of the best evaluation are what the run returns,
    whether it was stopped or came to its last epoch.

    Args:
      patience: evaluations without improvement, at least 1.
      monitor: what is watched, a name in the epoch's record.
      mode: "min" or "max".
      min_delta: improvement that counts, at least 0; a float or a traced scalar.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value outside its range.

    >>> early_stopping(patience=3, monitor="val/accuracy", mode="max").patience
    3

    Source: lectures C, L and M.
    """
    check_choice("mode", mode, ("min", "max"))
    check_knob("min_delta", min_delta, 0)
    return EarlyStopping(
        monitor=monitor,
        mode=mode,
        patience=check_positive_int("patience", patience),
        min_delta=min_delta,
    )
