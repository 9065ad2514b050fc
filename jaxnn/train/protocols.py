"""What can be attached to a run: controllers, probes and observers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax

if TYPE_CHECKING:
    from jaxnn.train.history import EpochRecord
    from jaxnn.train.run import Run
    from jaxnn.train.state import TrainState

__all__ = ["Controller", "Observer", "Probe", "StepTrace", "as_observer"]


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


class Observer:
    """Host-side company of a run; each method does nothing unless overridden.

    It sees the run before the first step, every epoch's record, and the end, which comes
    also after Ctrl-C or an error.
    """

    def on_start(self, run: Run) -> None:
        """Before the first step; `run.history` holds the epochs before a resumption."""

    def on_epoch(self, record: EpochRecord) -> None:
        """After each epoch."""

    def on_end(self, run: Run) -> None:
        """After the last epoch, whatever ended the run."""


def as_observer(observer: Any) -> Observer:
    """An observer as it is; a plain function of a record as one that is told each epoch."""
    if all(hasattr(observer, name) for name in ("on_start", "on_epoch", "on_end")):
        return observer
    if not callable(observer):
        raise TypeError(f"observers must be Observers or functions of a record, got {observer!r}")
    return _FunctionObserver(observer)


class _FunctionObserver(Observer):
    def __init__(self, function: Callable[[EpochRecord], Any]) -> None:
        self._function = function

    def on_epoch(self, record: EpochRecord) -> None:
        self._function(record)
