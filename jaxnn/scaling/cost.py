"""What a training step costs one device, by XLA's analysis of the compiled program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxnn.data.shapes import check_shapes
from jaxnn.nn.layers.convolution.on_cpu import without_loops
from jaxnn.recipe import Recipe, as_maker, build
from jaxnn.train.step.state import init_state
from jaxnn.train.step.step import train_step

__all__ = ["StepCost", "step_cost"]


@dataclass(frozen=True)
class StepCost:
    """Hold what one device computes, reads and stores in a step; see `step_cost`.

    Attributes:
      examples: rows of the device's batch.
      flops: floating-point operations.
      memory_bytes: bytes read from and written to memory.
      gradient_bytes: size of all gradients.
      state_bytes: size of parameters, their average, model state and optimizer state.
    """

    examples: int
    flops: float
    memory_bytes: float
    gradient_bytes: int
    state_bytes: int


def step_cost(recipe: Recipe, batch: Any) -> StepCost:
    """Count the operations and bytes of `train_step` on one device. Nothing is trained.

    The step is compiled for the CPU whatever the accelerator, because on a GPU matrix products
    become calls into libraries, which the analysis counts as free. Operations are counted by
    the formulas (2mnk for a matrix product; a convolution's padding counts nothing).
    Transcendental functions count nothing, and the body of a loop counts once, so a model that
    scans over time costs more than this says. Memory traffic is that of each fused operation's
    inputs and outputs, as the CPU's compiler fuses them; compilers of accelerators fuse more.

    Args:
      recipe: what is trained.
      batch: pytree of arrays or `jax.ShapeDtypeStruct`s (batch_size, …); only shapes matter.

    Returns:
      The cost.

    Raises:
      TypeError: no recipe, or a leaf that is no array of numbers.
      ValueError: arrays without a common leading axis of examples, or, for a recipe with a
        loss, a batch that is no dict of "x" and "y".
      RuntimeError: JAX was started without its CPU backend.

    >>> import jax.numpy as jnp
    >>> from jaxnn import Recipe, losses, nn, optim
    >>> recipe = Recipe(nn.MLP((512, 10)), losses.softmax_cross_entropy, optim.sgd(0.1))
    >>> cost = step_cost(recipe, {"x": jnp.ones((64, 784)), "y": jnp.zeros(64, int)})
    >>> products = 2 * 64 * (2 * 784 * 512 + 3 * 512 * 10)  # no gradient of the first inputs
    >>> round(cost.flops / products, 1), cost.gradient_bytes  # 4 bytes a parameter
    (1.0, 1628200)
    """
    maker = as_maker(recipe)
    examples, batch = check_shapes("batch", batch), jax.eval_shape(lambda arrays: arrays, batch)
    own_objective = build(maker, {}, np.int32(0)).objective is not None
    if not own_objective and not (isinstance(batch, Mapping) and {"x", "y"} <= set(batch)):
        raise ValueError(f'batch must be a dict that holds "x" and "y", got {batch!r}')
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        state = jax.eval_shape(partial(init_state, maker, 0), batch)
        # A jit of its own: this program must not be shared with a run's, in either direction.
        step = jax.jit(lambda state, batch: train_step(maker, state, batch))
        with without_loops():
            compiled = step.lower(state, batch).compile()
    analysis: Any = compiled.cost_analysis()
    return StepCost(
        examples=examples,
        flops=analysis["flops"],
        memory_bytes=analysis["bytes accessed"],
        gradient_bytes=_bytes(state.params),
        state_bytes=_bytes((state.params, state.averaged, state.model_state, state.opt_state)),
    )


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
