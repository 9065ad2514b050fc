"""The size of each parameter, of its gradient, and of its change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.inspect.probes.leaves import check_pattern, norms_of, paths_of
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["Norms"]


class NormsMemory(struct.PyTreeNode):
    """Memory of `Norms`."""

    steps: jax.Array  # () int32
    sums: jax.Array  # (5, parameters): norms of θ, g, Δθ, the ratio, and where it counts
    paths: tuple[str, ...] = struct.field(pytree_node=False)


@dataclass(frozen=True)
class Norms:
    r"""The norm of each parameter, of its gradient, of its update, and the update ratio.

    $$\lVert \theta \rVert_2, \qquad \lVert g \rVert_2, \qquad \lVert \Delta\theta \rVert_2, \qquad
    r = \frac{\lVert \Delta\theta \rVert_2}{\lVert \theta \rVert_2}$$

    The update is what the parameter really changed by: behind momentum, clipping, weight decay,
    max-norm and rounding. The gradient is that of the mean loss and the penalty. Recorded per
    epoch, as means over its steps: "parameter/Dense_0/kernel/norm",
    "gradient/Dense_0/kernel/norm", "update/Dense_0/kernel/norm" and
    "update/Dense_0/kernel/ratio". A ratio of about 1e-3 is usual; much more says that the rate is
    too high. Steps at which a parameter is 0, as biases are at the start, are left out of the
    ratio.

    Attributes:
      parameters: regular expression, searched for in the paths of parameters; "" for all.
      every: steps from one that is measured to the next.

    Raises:
      TypeError: `parameters` is no text.
      ValueError: a text that is no regular expression, or an `every` that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[Norms("kernel")])
    >>> values = run.history.epochs[-1].values
    >>> 1e-4 < values["update/Dense_0/kernel/ratio"] < 1e-1
    True

    Source: lecture N, "the ratio of updates to weights should be about 1e-3".
    """

    parameters: str = ""
    every: int = 1

    needs: ClassVar[tuple[str, ...]] = ("params", "grads", "updates")

    def __post_init__(self) -> None:
        check_pattern("parameters", self.parameters, self.every)

    def init(self, state: TrainState, shapes: StepTrace) -> NormsMemory:
        del state
        found = jax.eval_shape(self._norms, shapes)
        paths = tuple(paths_of(shapes.params, self.parameters))
        return NormsMemory(jnp.zeros((), jnp.int32), jnp.zeros(found.shape, found.dtype), paths)

    def update(self, memory: NormsMemory, trace: StepTrace) -> NormsMemory:
        return memory.replace(steps=memory.steps + 1, sums=memory.sums + self._norms(trace))

    def summarize(self, memory: NormsMemory) -> dict[str, jax.Array]:
        # 0 / 0 is NaN where nothing was measured in the whole epoch.
        means, ratios = memory.sums / memory.steps, memory.sums[3] / memory.sums[4]
        values = {}
        for number, path in enumerate(memory.paths):
            values[f"parameter/{path}/norm"] = means[0, number]
            values[f"gradient/{path}/norm"] = means[1, number]
            values[f"update/{path}/norm"] = means[2, number]
            values[f"update/{path}/ratio"] = ratios[number]
        return values

    def _norms(self, trace: StepTrace) -> jax.Array:
        """The norms of one step, the ratios, and where there is one, (5, parameters)."""
        trees = (trace.params, trace.grads, trace.updates)
        leaves = [leaf for tree in trees for leaf in paths_of(tree, self.parameters).values()]
        weight, gradient, update = norms_of(leaves).reshape(3, -1)
        positive = weight > 0
        ratio = jnp.where(positive, update / jnp.where(positive, weight, 1), 0)
        return jnp.stack([weight, gradient, update, ratio, positive.astype(ratio.dtype)])
