"""Early stopping, which hands back the best weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_choice, check_count, check_knob
from jaxnn.optim.plateau import improvement, worst
from jaxnn.train.step.state import TrainState

__all__ = ["EarlyStopping", "EarlyStoppingMemory", "early_stopping"]


class EarlyStoppingMemory(struct.PyTreeNode):
    """What early stopping remembers; the best weights are those of the start until it looks."""

    best: jax.Array  # () the best value so far
    wait: jax.Array  # () int32: evaluations since
    params: Any
    model_state: Any
    averaged: Any


@dataclass(frozen=True, eq=False)
class EarlyStopping:
    """See `early_stopping`."""

    monitor: str
    mode: str
    patience: int
    min_delta: float | jax.Array
    baseline: float | jax.Array | None
    counting: str

    def init(self, state: TrainState) -> EarlyStoppingMemory:
        return EarlyStoppingMemory(best=worst(self.mode), wait=jnp.int32(0), **_weights(state))

    def update(
        self, memory: EarlyStoppingMemory, state: TrainState, value: jax.Array
    ) -> tuple[EarlyStoppingMemory, TrainState]:
        value = value.astype(memory.best.dtype)
        better = improvement(value, memory.best, self.mode, atol=self.min_delta)
        # As in Keras, who has not beaten the baseline is not given more time.
        enough = better
        if self.baseline is not None:
            enough = better & improvement(
                value, jnp.asarray(self.baseline, value.dtype), self.mode, atol=self.min_delta
            )
        wait = jnp.where(enough, 0, memory.wait + 1).astype(jnp.int32)
        limit = max(self.patience, 1) if self.counting == "keras" else self.patience + 1
        stop = state.control.stop | (~better & (wait >= limit))
        found = EarlyStoppingMemory(best=value, wait=wait, **_weights(state))
        missed = memory.replace(wait=wait)
        memory = jax.tree.map(lambda a, b: jnp.where(better, a, b), found, missed)
        return memory, state.replace(control=state.control.replace(stop=stop))

    def finish(self, memory: EarlyStoppingMemory, state: TrainState) -> TrainState:
        return state.replace(
            params=memory.params, model_state=memory.model_state, averaged=memory.averaged
        )


def _weights(state: TrainState) -> dict[str, Any]:
    return {
        "params": state.params,
        "model_state": state.model_state,
        "averaged": state.averaged,
    }


def early_stopping(
    patience: int = 10,
    *,
    monitor: str = "val/loss",
    mode: str = "min",
    min_delta: float | jax.Array = 0.0,
    baseline: float | jax.Array | None = None,
    counting: Literal["keras", "pytorch"] = "keras",
) -> EarlyStopping:
    """End the run when a value stops improving, and hand back the best weights.

    The parameters, model state and average of the best evaluation are what the run returns,
    whether it was stopped or came to its last epoch.

    Args:
      patience: evaluations without improvement, at least 0.
      monitor: what is watched, a name in the epoch's record.
      mode: "min" or "max".
      min_delta: improvement over the best that counts, at least 0.
      baseline: a value to beat: until then improvements do not renew the patience.
      counting: "keras" ends the run at the `patience`-th evaluation in a row that is not
        better, "pytorch" (as its plateau scheduler counts) at the one after it.

    The floats may be traced scalars.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value outside its range.

    >>> early_stopping(patience=3, monitor="val/accuracy", mode="max").patience
    3

    Source: lectures C, L and M.
    """
    check_choice("mode", mode, ("min", "max"))
    check_choice("counting", counting, ("keras", "pytorch"))
    check_knob("min_delta", min_delta, 0)
    if baseline is not None:
        check_knob("baseline", baseline)
    patience = check_count("patience", patience)
    return EarlyStopping(monitor, mode, patience, min_delta, baseline, counting)
