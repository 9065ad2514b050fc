"""What a step shows to probes, and what a probe is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax

from jaxnn.train.step.state import TrainState

__all__ = ["Probe", "StepTrace"]


class StepTrace(NamedTuple):
    """What a step computed on its way; what no probe reads, the compiler leaves out."""

    params: Any  # before the update
    grads: Any  # of loss and penalty, like params
    updates: Any  # what was added to params
    loss: jax.Array  # () mean loss of the batch, without the penalty


@runtime_checkable
class Probe(Protocol):
    """A diagnostic computed inside the compiled step: pure functions over its own memory.

    A probe is static, so it hashes and compares by value (a frozen dataclass). Its memory
    is fresh in each epoch.
    """

    def init(self, state: TrainState) -> Any:
        """The memory at the start of an epoch: a pytree of arrays."""
        ...

    def update(self, memory: Any, trace: StepTrace) -> Any:
        """The memory after one more step, of the same structure, shapes and dtypes."""
        ...

    def summarize(self, memory: Any) -> Mapping[str, jax.Array]:
        """What the epoch's record says: names to scalars or arrays."""
        ...
