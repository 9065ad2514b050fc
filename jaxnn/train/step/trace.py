"""What a step shows to probes, and what a probe is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax

from jaxnn.nn.taps import Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.taps import Reduce

__all__ = ["Probe", "StepTrace", "TapProbe", "reduce_of", "shown_to"]


class StepTrace(NamedTuple):
    """What a step computed on its way; None for what the probe does not need."""

    params: Any = None  # before the update
    grads: Any = None  # of the mean loss and the penalty, like params
    updates: Any = None  # what was added to params
    loss: Any = None  # () mean loss of the batch, without the penalty
    taps: Any = None  # {"site/path": sums} of the taps that the probe wants


@runtime_checkable
class Probe(Protocol):
    """A diagnostic computed inside the compiled step: pure functions over its own memory.

    A probe is static: it is told apart by its value (a frozen dataclass, the fields of which may
    be arrays), and an equal one finds the compiled functions. Its memory is fresh in each epoch.
    A probe leaves the training's bits alone; one exception is known, a sharded run that
    accumulates with jaxlib 0.7, where the sums are rounded in another way.
    """

    @property
    def needs(self) -> Collection[str]:
        """What `update` reads, among the fields of `StepTrace`; the others are None there."""
        ...

    def init(self, state: TrainState, shapes: StepTrace) -> Any:
        """Make the memory at the start of an epoch.

        Args:
          state: of the run, there.
          shapes: the trace that `update` will be given, with a `jax.ShapeDtypeStruct` in place
            of each array.

        Returns:
          A pytree of arrays.
        """
        ...

    def update(self, memory: Any, trace: StepTrace) -> Any:
        """Return the memory after one more step, of the same structure, shapes and dtypes."""
        ...

    def summarize(self, memory: Any) -> Mapping[str, jax.Array]:
        """Return what the epoch's record says: names to scalars or arrays."""
        ...


@runtime_checkable
class TapProbe(Probe, Protocol):
    """A probe that needs "taps": it says which, and what is summed up there."""

    def reduce(self, tap: Tap) -> Any:
        """Reduce what a tap sees of one (micro-)batch to sums.

        The sums of micro-batches, of devices, and of several calls of one layer are added. They
        are NaN where no gradient reached the tap, as below a `stop_gradient`: not measured.

        Args:
          tap: its `site`, `path` and `sites` are plain Python values.

        Returns:
          A pytree of arrays whose shapes do not depend on the number of rows; integers and
          booleans become floats. None: this tap is not wanted, and is not made.
        """
        ...


def reduce_of(probe: Probe) -> Reduce | None:
    """How a probe reduces a tap; None where it needs none."""
    return probe.reduce if "taps" in probe.needs and isinstance(probe, TapProbe) else None


def shown_to(probe: Probe, trace: StepTrace) -> StepTrace:
    """The part of a trace that the probe needs."""
    return StepTrace(**{name: getattr(trace, name) for name in probe.needs})
