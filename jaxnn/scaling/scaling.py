"""How a step would scale to devices that are not at hand: bytes moved and time, estimated.

The arithmetic of one step comes from XLA's analysis of the compiled program, what the devices
say to each other from the size of the gradients. Nothing is trained and no data is touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from jaxnn.nn.layers.convolution_on_cpu import without_loops
from jaxnn.recipe import Recipe, as_maker
from jaxnn.scaling.hardware import Chip, Interconnect, sent_in_all_reduce
from jaxnn.train.step.state import init_state
from jaxnn.train.step.step import train_step

__all__ = ["ScalingRow", "StepCost", "estimate_scaling", "step_cost"]


@dataclass(frozen=True)
class StepCost:
    """What one device does in a step, all of its own; see `step_cost`.

    Attributes:
      examples: rows of its batch.
      flops: floating-point operations.
      memory_bytes: read from and written to memory.
      gradient_bytes: of all gradients.
      state_bytes: of parameters, their average, model state and the optimizer's state.
    """

    examples: int
    flops: float
    memory_bytes: float
    gradient_bytes: int
    state_bytes: int


def step_cost(recipe: Recipe, batch: Any) -> StepCost:
    """The cost of `train_step` on one device, by XLA's analysis of the compiled program.

    It is compiled for the CPU whatever the accelerator: on a GPU, matrix products become calls
    into libraries that the analysis takes for free. Operations are counted as the formulas
    have them (2mnk for a product; no operations on a convolution's padding), transcendental
    functions not at all, and the body of a loop once, so a model that scans over time costs
    more than this says. Memory counts each fused operation's inputs and outputs as the CPU's
    compiler fuses them; others fuse more.

    Args:
      recipe: what is trained.
      batch: pytree of arrays or `jax.ShapeDtypeStruct`s (batch_size, …); only shapes matter.

    Returns:
      The cost.

    Raises:
      RuntimeError: JAX was started without its CPU backend.

    >>> import jax.numpy as jnp
    >>> from jaxnn import Recipe, losses, nn, optim
    >>> recipe = Recipe(nn.MLP((512, 10)), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> cost = step_cost(recipe, {"x": jnp.ones((64, 784)), "y": jnp.zeros(64, int)})
    >>> products = 2 * 64 * (2 * 784 * 512 + 3 * 512 * 10)  # no gradient of the first inputs
    >>> round(cost.flops / products, 1), cost.gradient_bytes  # 4 bytes a parameter
    (1.0, 1628200)
    """
    batch, maker = jax.eval_shape(lambda arrays: arrays, batch), as_maker(recipe)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        state = jax.eval_shape(partial(init_state, maker, 0), batch)
        # A function of its own, so that no program of a run is found here, nor this one there.
        step = jax.jit(lambda state, batch: train_step(maker, state, batch))
        with without_loops():
            compiled = step.lower(state, batch).compile()
    analysis: Any = compiled.cost_analysis()
    return StepCost(
        examples=jax.tree.leaves(batch)[0].shape[0],
        flops=analysis["flops"],
        memory_bytes=analysis["bytes accessed"],
        gradient_bytes=_bytes(state.params),
        state_bytes=_bytes((state.params, state.averaged, state.model_state, state.opt_state)),
    )


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@dataclass(frozen=True)
class ScalingRow:
    """One count of devices; bytes are per device and step, times in seconds.

    Attributes:
      devices: how many.
      examples: in a step of all.
      sent_bytes: sent to other devices, and as many received.
      work_time: of computing, or of reading and writing memory where that takes longer.
      communication_time: for the sum of the gradients.
      step_time: of the step.
      efficiency: the share of `step_time` that is work.
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
    r"""Bytes moved and time per step of data-parallel training, for any number of devices.

    $$t = \max\Big(\frac{\mathrm{flops}}{\alpha F}, \frac{\mathrm{bytes}}{\alpha M}\Big) + c$$

    with the peak rates F and M of the chip, the achieved share α, and the time c of
    `Interconnect.all_reduce_seconds` for the gradients.

    It assumes that each device holds all parameters and takes a batch of its own; that the
    gradients are summed once a step in the parameters' types, after the last of them is there;
    that links are shared with nobody and no device waits for a slower one; that data is there
    when it is wanted. Left out are the start of a program and its kernels, the metrics' sums,
    and the sums that batch normalization takes over all devices.

    Args:
      recipe: what is trained; see `step_cost` for how its step is counted.
      batch: of each device: pytree of arrays or `jax.ShapeDtypeStruct`s (batch_size, …).
      devices: how many, several such counts; see `Interconnect.all_reduce_seconds`.
      chip: the device: `H100` or your own.
      interconnect: what joins them: `H100_CLUSTER` or your own.

    Returns:
      A row for each count.

    Raises:
      ValueError: naming the argument, its value, and what is allowed.
      RuntimeError: JAX was started without its CPU backend.

    >>> import jax.numpy as jnp
    >>> from jaxnn import Recipe, losses, nn, optim
    >>> from jaxnn.scaling.hardware import H100, H100_CLUSTER
    >>> model = nn.MLP((4096, 4096, 10))
    >>> recipe = Recipe(model, losses.softmax_cross_entropy, optim.momentum(0.1))
    >>> x = jax.ShapeDtypeStruct((8192, 784), jnp.float32)
    >>> batch = {"x": x, "y": jax.ShapeDtypeStruct((8192,), jnp.int32)}
    >>> counts = (8, 64, 512, 4096)
    >>> for row in estimate_scaling(
    ...     recipe, batch, counts, chip=H100, interconnect=H100_CLUSTER
    ... ):
    ...     print(row)
          8 devices  140 MB sent  work 1.9 + sums 0.34 = 2.2 ms  85%
         64 devices  158 MB sent  work 1.9 + sums 0.72 = 2.6 ms  72%
        512 devices  160 MB sent  work 1.9 + sums 0.79 = 2.7 ms  70%
      4,096 devices  160 MB sent  work 1.9 + sums 0.83 = 2.7 ms  69%

    Source: S. Williams, A. Waterman, D. Patterson, Roofline, 2009, for the work.
    """
    cost = step_cost(recipe, batch)
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
