"""Estimate bytes moved and time per step on devices that are not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxnn.recipe import Recipe
from jaxnn.scaling.chips import Chip
from jaxnn.scaling.cost import step_cost
from jaxnn.scaling.interconnects import Interconnect, sent_in_all_reduce

__all__ = ["ScalingRow", "estimate_scaling"]


@dataclass(frozen=True)
class ScalingRow:
    """Hold the estimate for one number of devices; bytes per device and step, times in seconds.

    Attributes:
      devices: number of devices.
      examples: examples of a step, over all devices.
      sent_bytes: bytes that a device sends to others; it receives as many.
      work_time: time of computing, or of reading and writing memory where that takes longer.
      communication_time: time of the all-reduce of the gradients.
      step_time: time of the whole step.
      efficiency: share of `step_time` that is `work_time`.
    """

    devices: int
    examples: int
    sent_bytes: float
    work_time: float
    communication_time: float
    step_time: float
    efficiency: float

    def __str__(self) -> str:
        work, sums, step = (
            1e3 * t for t in (self.work_time, self.communication_time, self.step_time)
        )
        return (
            f"{self.devices:7,} devices  {self.sent_bytes / 1e6:.3g} MB sent  "
            f"work {work:.2g} + sums {sums:.2g} = {step:.2g} ms  {self.efficiency:.0%}"
        )


def estimate_scaling(
    recipe: Recipe,
    batch: Any,
    devices: Sequence[int],
    *,
    chip: Chip,
    interconnect: Interconnect,
) -> tuple[ScalingRow, ...]:
    r"""Estimate bytes moved and time per step of data-parallel training on many devices.

    $$t = \max\Big(\frac{\mathrm{flops}}{\alpha F}, \frac{\mathrm{bytes}}{\alpha M}\Big) + c$$

    with the peak rates F and M of the chip, the achieved share α, and the time c of
    `Interconnect.all_reduce_seconds` for the gradients.

    The estimate assumes that each device holds all parameters and takes a batch of its own;
    that the gradients are summed once per step in the parameters' types, after the last of them
    is computed; that no other job uses the links, no device waits for a slower one, and data
    arrives in time. It leaves out the start of programs and kernels, the sums of the metrics,
    and the sums that batch normalization takes over all devices.

    Args:
      recipe: what is trained; see `step_cost` for how its step is counted.
      batch: batch of each device: pytree of arrays or `jax.ShapeDtypeStruct`s (batch_size, …).
      devices: several numbers of devices; see `Interconnect.all_reduce_seconds`.
      chip: `H100`, `TPU_V5E`, `TPU_V6E` or your own.
      interconnect: `H100_CLUSTER`, `TPU_V5E_PODS`, `TPU_V6E_PODS` or your own.

    Returns:
      A row for each number of devices.

    Raises:
      TypeError: a chip or an interconnect of another class, or devices that are no sequence.
      ValueError: a number of devices that leaves a group incomplete, or a chip whose memory
        cannot hold the state and the gradients.
      RuntimeError: JAX was started without its CPU backend.

    >>> import jax, jax.numpy as jnp
    >>> from jaxnn import Recipe, losses, nn, optim, scaling
    >>> model = nn.MLP((4096, 4096, 10))
    >>> recipe = Recipe(model, losses.softmax_cross_entropy, optim.momentum(0.1))
    >>> x = jax.ShapeDtypeStruct((8192, 784), jnp.float32)
    >>> batch = {"x": x, "y": jax.ShapeDtypeStruct((8192,), jnp.int32)}
    >>> chip, interconnect = scaling.H100, scaling.H100_CLUSTER
    >>> counts = (8, 64, 512, 4096)
    >>> for row in estimate_scaling(
    ...     recipe, batch, counts, chip=chip, interconnect=interconnect
    ... ):
    ...     print(row)
          8 devices  140 MB sent  work 1.9 + sums 0.34 = 2.2 ms  85%
         64 devices  158 MB sent  work 1.9 + sums 0.72 = 2.6 ms  72%
        512 devices  160 MB sent  work 1.9 + sums 0.79 = 2.7 ms  70%
      4,096 devices  160 MB sent  work 1.9 + sums 0.83 = 2.7 ms  69%

    Source: S. Williams, A. Waterman, D. Patterson, Roofline, 2009, for the work.
    """
    for name, value, kind in (("chip", chip, Chip), ("interconnect", interconnect, Interconnect)):
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be a jaxnn.scaling.{kind.__name__}, got {value!r}")
    if not isinstance(devices, Sequence) or isinstance(devices, str | bytes):
        raise TypeError(f"devices must be a sequence of numbers of devices, got {devices!r}")
    for count in devices:  # before the step is compiled
        interconnect.all_reduce_seconds(0, count)
    cost = step_cost(recipe, batch)
    held = cost.state_bytes + cost.gradient_bytes
    if held > chip.memory:
        raise ValueError(
            f"chip must have memory for the state and the gradients, {held / 1e9:.3g} GB, "
            f"got {chip.name} with {chip.memory / 1e9:.3g} GB"
        )
    work = max(cost.flops / chip.flops, cost.memory_bytes / chip.memory_bandwidth) / chip.achieved

    def row(count: int) -> ScalingRow:
        communication = interconnect.all_reduce_seconds(cost.gradient_bytes, count)
        return ScalingRow(
            devices=count,
            examples=cost.examples * count,
            sent_bytes=sent_in_all_reduce(cost.gradient_bytes, count),
            work_time=work,
            communication_time=communication,
            step_time=work + communication,
            efficiency=work / (work + communication),
        )

    return tuple(row(count) for count in devices)
