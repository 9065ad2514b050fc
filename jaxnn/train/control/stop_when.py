"""Stop a run when a value passes a bound, such as when the gradient vanishes."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.train.control.protocol import as_knob, mode_of
from jaxnn.train.step.state import TrainState

__all__ = ["StopWhen", "stop_when"]


@dataclass(frozen=True, eq=False)
class StopWhen:
    """The controller that `stop_when` builds."""

    monitor: str
    below: float | jax.Array | None
    above: float | jax.Array | None
    patience: int

    def init(self, state: TrainState) -> jax.Array:
        return jnp.int32(0)  # evaluations in a row that were past the bound

    def update(
        self, memory: jax.Array, state: TrainState, value: jax.Array
    ) -> tuple[jax.Array, TrainState]:
        past = jnp.bool_(False)
        if self.below is not None:
            past |= value < self.below
        if self.above is not None:
            past |= value > self.above
        count = jnp.where(past, memory + 1, 0).astype(jnp.int32)
        stop = state.control.stop | (count >= self.patience)
        return count, state.replace(control=state.control.replace(stop=stop))

    def finish(self, memory: jax.Array, state: TrainState) -> TrainState:
        return state


def stop_when(
    monitor: str,
    *,
    below: float | jax.Array | None = None,
    above: float | jax.Array | None = None,
    patience: int = 1,
) -> StopWhen:
    """End the run when a value is past a bound, and return the weights it has then.

    `stop_when("gradient_norm/mean", below=1e-4)` ends it when the gradient vanishes, with the
    probe `jaxnn.inspect.GradientNorm`; `stop_when("train/loss", below=0.01)` when a loss is
    reached. A value that is NaN is past no bound.

    Args:
      monitor: name of the watched value in the epoch's record.
      below: the run ends when the value is less than this; a float or a traced scalar.
      above: the run ends when the value is greater than this; a float or a traced scalar.
      patience: number of evaluations in a row that must be past the bound, at least 1.

    Returns:
      A controller, for `Recipe(controllers=...)`.

    Raises:
      ValueError: no bound is given, or a value is outside its range.

    >>> stop_when("val/accuracy", above=0.99).above
    0.99

    Source: lectures M and C.
    """
    if below is None and above is None:
        raise ValueError("stop_when needs a bound, below= or above=, got neither")
    for name, bound in (("below", below), ("above", above)):
        if bound is not None:
            check_knob(name, bound)
    mode_of(monitor, None)  # refuses what is no name
    patience = check_positive_int("patience", patience)
    return StopWhen(monitor, as_knob(below), as_knob(above), patience)
