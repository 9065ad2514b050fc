"""The size of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.norms import global_norm
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["GradientNorm"]


class GradientNormMemory(NamedTuple):
    """Memory of `GradientNorm`."""

    steps: jax.Array  # () int32
    total: jax.Array  # () sum of the norms
    largest: jax.Array  # ()


@dataclass(frozen=True)
class GradientNorm:
    r"""The norm of the gradient, $\lVert g \rVert_2$ over all parameters: mean and maximum.

    Recorded per epoch as "gradient_norm/mean" and "gradient_norm/max". A mean that falls to
    zero early says that gradients vanish, a maximum far above the mean that they explode.

    Attributes:
      every: steps from one that is measured to the next.

    Raises:
      ValueError: `every` is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[GradientNorm()])
    >>> values = run.history.epochs[-1].values
    >>> 0 < values["gradient_norm/mean"] <= values["gradient_norm/max"]
    True

    Source: lectures C, M and S on vanishing and exploding gradients.
    """

    every: int = 1

    needs: ClassVar[tuple[str, ...]] = ("grads",)

    def __post_init__(self) -> None:
        check_positive_int("every", self.every)

    def init(self, state: TrainState, shapes: StepTrace) -> GradientNormMemory:
        del state, shapes
        zero = jnp.zeros((), float)
        return GradientNormMemory(steps=jnp.zeros((), jnp.int32), total=zero, largest=zero)

    def update(self, memory: GradientNormMemory, trace: StepTrace) -> GradientNormMemory:
        norm = global_norm(trace.grads).astype(memory.total.dtype)
        return GradientNormMemory(
            steps=memory.steps + 1,
            total=memory.total + norm,
            largest=jnp.maximum(memory.largest, norm),
        )

    def summarize(self, memory: GradientNormMemory) -> dict[str, jax.Array]:
        # NaN where no step was measured in the whole epoch.
        measured = memory.steps / memory.steps
        return {
            "gradient_norm/mean": memory.total / memory.steps,
            "gradient_norm/max": memory.largest * measured,
        }
