"""Early stopping, and training to the end: both return the best weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_choice, check_count, check_knob
from jaxnn.optim.stagnation import improvement, worst
from jaxnn.train.control.protocol import Mode, as_knob, mode_of, told_mode
from jaxnn.train.step.state import TrainState

__all__ = ["EarlyStopping", "EarlyStoppingMemory", "early_stopping", "keep_best"]


class EarlyStoppingMemory(struct.PyTreeNode):
    """Memory of early stopping; until the first evaluation the weights are those of the start."""

    best: jax.Array  # () the best value so far
    wait: jax.Array  # () int32: evaluations since the last improvement that renews the patience
    params: Any  # of the best evaluation, as are the next two
    model_state: Any
    averaged: Any


@dataclass(frozen=True, eq=False)
class EarlyStopping:
    """The controller that `early_stopping` and `keep_best` build."""

    monitor: str
    mode: Mode | None  # None until the recipe has put the direction of the metric here
    patience: int | None  # None: the run is never stopped
    min_delta: float | jax.Array
    baseline: float | jax.Array | None
    counting: str

    def init(self, state: TrainState) -> EarlyStoppingMemory:
        return EarlyStoppingMemory(
            best=worst(told_mode(self)), wait=jnp.int32(0), **_weights(state)
        )

    def update(
        self, memory: EarlyStoppingMemory, state: TrainState, value: jax.Array
    ) -> tuple[EarlyStoppingMemory, TrainState]:
        value = value.astype(memory.best.dtype)
        better = improvement(value, memory.best, told_mode(self), atol=self.min_delta)
        # As in Keras, an improvement that does not beat the baseline does not renew the patience.
        enough = better
        if self.baseline is not None:
            enough = better & improvement(
                value, jnp.asarray(self.baseline, value.dtype), told_mode(self), atol=self.min_delta
            )
        wait = jnp.where(enough, 0, memory.wait + 1).astype(jnp.int32)
        stop = state.control.stop
        if self.patience is not None:
            limit = max(self.patience, 1) if self.counting == "keras" else self.patience + 1
            stop = stop | (~better & (wait >= limit))
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
    mode: Mode | None = None,
    min_delta: float | jax.Array = 0.0,
    baseline: float | jax.Array | None = None,
    counting: Literal["keras", "pytorch"] = "keras",
) -> EarlyStopping:
    """End the run when a value stops improving, and return the best weights.

    The run returns the parameters, model state and average of the best evaluation, whether it
    was stopped or reached its last epoch.

    Args:
      patience: number of evaluations in a row without improvement that end the run, at least 0.
      monitor: name of the watched value in the epoch's record.
      mode: "min" if the value should fall, "max" if it should rise. None: the direction that
        the metric carries, see `jaxnn.metrics.direction`; a value without one needs a mode.
      min_delta: by how much a value must beat the best to count as an improvement, at least 0.
      baseline: a value to beat. Until a value beats it, improvements do not renew the patience.
        None: no baseline.
      counting: "keras" ends the run at the `patience`-th evaluation in a row that does not
        improve, "pytorch" at the one after it, as PyTorch's plateau scheduler counts.

    Each float may be a traced scalar.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value is outside its range.

    >>> early_stopping(patience=3, monitor="val/accuracy").patience
    3

    Source: lectures C, L and M.
    """
    mode = mode_of(monitor, mode)
    check_choice("counting", counting, ("keras", "pytorch"))
    check_knob("min_delta", min_delta, 0)
    if baseline is not None:
        check_knob("baseline", baseline)
    patience = check_count("patience", patience)
    return EarlyStopping(monitor, mode, patience, as_knob(min_delta), as_knob(baseline), counting)


def keep_best(
    *, monitor: str = "val/loss", mode: Mode | None = None, min_delta: float | jax.Array = 0.0
) -> EarlyStopping:
    """Train to the last epoch, and return the weights of the best evaluation.

    Args:
      monitor, mode, min_delta: as in `early_stopping`.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: a value is outside its range.

    >>> keep_best(monitor="val/accuracy").patience is None
    True

    Source: lectures C and M ("keep going and choose the best").
    """
    check_knob("min_delta", min_delta, 0)
    return EarlyStopping(monitor, mode_of(monitor, mode), None, as_knob(min_delta), None, "keras")
