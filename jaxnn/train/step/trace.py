"""What a step shows to probes, and what a probe is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax

from jaxnn.nn.taps import Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.taps import Reduce
from jaxnn.train.step.view import View

__all__ = [
    "ObjectiveProbe",
    "Probe",
    "StepTrace",
    "TapProbe",
    "every_of",
    "reduce_of",
    "traces_of",
]


class StepTrace(NamedTuple):
    """What a step computed on its way; None for what the probe does not need."""

    params: Any = None  # before the update
    grads: Any = None  # of the mean loss and the penalty, like params
    updates: Any = None  # what params really changed by, the rounding included
    loss: Any = None  # () mean loss of the batch, without the penalty
    taps: Any = None  # {"site/path": sums} of the taps that the probe wants
    measured: Any = None  # what the probe's `measure` returned


@runtime_checkable
class Probe(Protocol):
    """A diagnostic computed inside the compiled step: pure functions over its own memory.

    A probe is static: it is told apart by its value (a frozen dataclass, the fields of which may
    be arrays), and an equal one finds the compiled functions. Its memory is fresh in each epoch.
    A probe leaves the training's bits alone; one exception is known, a sharded run that
    accumulates with jaxlib 0.7, where the sums are rounded in another way.

    A probe may have an attribute `every`, a positive integer k: it then sees the steps whose
    clock, the number of steps done by the run before them, divides by k. The others are taken by a
    program without it.
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


@runtime_checkable
class ObjectiveProbe(Probe, Protocol):
    """A probe that needs "measured": it evaluates what the step minimizes once more."""

    def measure(self, view: View) -> Any:
        """Compute from the objective, its gradient or its curvature.

        Args:
          view: the step's parameters and its objective as functions of parameters.

        Returns:
          A pytree of arrays, which `update` finds as `trace.measured`.
        """
        ...


def every_of(probe: Probe) -> int:
    """The number of steps from one that the probe sees to the next."""
    return getattr(probe, "every", 1)


def reduce_of(probe: Probe) -> Reduce | None:
    """How a probe reduces a tap; None where it needs none."""
    return probe.reduce if "taps" in probe.needs and isinstance(probe, TapProbe) else None


def traces_of(
    probes: Sequence[Probe], view: View, taps: Sequence[dict[str, Any]]
) -> tuple[StepTrace, ...]:
    """What each probe needs of a step.

    Args:
      probes: of the step.
      view: the step's parameters, gradient, loss and objective.
      taps: for each probe what its `reduce` has summed.
    """
    needed = {name for probe in probes for name in probe.needs}
    common = {name: getattr(view, name) for name in _COMMON if name in needed}

    def trace(probe: Probe, sums: dict[str, Any]) -> StepTrace:
        own: dict[str, Any] = {"taps": sums}
        if "measured" in probe.needs and isinstance(probe, ObjectiveProbe):
            own["measured"] = probe.measure(view)
        return StepTrace(**{name: ({**common, **own})[name] for name in probe.needs})

    return tuple(trace(probe, sums) for probe, sums in zip(probes, taps, strict=True))


_COMMON = ("params", "grads", "updates", "loss")  # alike for all probes
