"""Whether updates go on in one direction, or to and fro."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.inspect.probes.leaves import check_pattern, norms_of, paths_of
from jaxnn.norms import global_norm
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["UpdateCosine"]


class CosineMemory(struct.PyTreeNode):
    """Memory of `UpdateCosine`; the last entry of a vector is of all parameters together."""

    units: tuple[jax.Array, ...]  # the last update of each parameter, of length 1, or of 0
    norms: jax.Array  # (parameters,) of the last updates
    sums: jax.Array  # (parameters + 1,) of cosines
    counts: jax.Array  # (parameters + 1,) of steps in which there is one
    paths: tuple[str, ...] = struct.field(pytree_node=False)


@dataclass(frozen=True)
class UpdateCosine:
    r"""The cosine of the angle between an update and the one that was measured before it.

    $$\cos_t = \frac{\langle \Delta\theta_t, \Delta\theta_{t-k} \rangle}
    {\lVert \Delta\theta_t \rVert \, \lVert \Delta\theta_{t-k} \rVert}$$

    Here k is `every`; with k = 1 they are successive updates. Recorded per epoch, as means over
    its steps: "update/cosine" of all parameters together, and "update/Dense_0/kernel/cosine" of
    each. Near 1 the steps go on in one direction, and a higher rate may do; below 0 they
    bounce to and fro, and the rate is too high. The first measurement of an epoch has none before
    it, and an update of 0 has no angle; both are left out. The memory holds one copy of the
    parameters.

    Attributes:
      parameters: regular expression, searched for in the paths of parameters; "" for all.
      every: steps from one that is measured to the next.

    Raises:
      TypeError: `parameters` is no text.
      ValueError: a text that is no regular expression, or an `every` that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)),
    ...     jaxnn.losses.softmax_cross_entropy,
    ...     jaxnn.optim.momentum(0.01, 0.9),
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[UpdateCosine()])
    >>> 0.5 < run.history.epochs[-1].values["update/cosine"] < 1
    True

    Source: lectures L and N on steps that bounce; Riedmiller and Braun 1993, RPROP.
    """

    parameters: str = ""
    every: int = 1

    needs: ClassVar[tuple[str, ...]] = ("updates",)

    def __post_init__(self) -> None:
        check_pattern("parameters", self.parameters, self.every)

    def init(self, state: TrainState, shapes: StepTrace) -> CosineMemory:
        del state
        leaves = paths_of(shapes.updates, self.parameters)
        norms = jax.eval_shape(norms_of, list(leaves.values()))
        units = (jnp.zeros(leaf.shape, norms.dtype) for leaf in leaves.values())
        zeros = jnp.zeros(len(leaves) + 1, norms.dtype)
        return CosineMemory(tuple(units), zeros[:-1], zeros, zeros, tuple(leaves))

    def update(self, memory: CosineMemory, trace: StepTrace) -> CosineMemory:
        leaves = list(paths_of(trace.updates, self.parameters).values())
        norms = norms_of(leaves)
        # Of length 1, so that the products neither overflow nor vanish.
        lengths = jnp.where(norms > 0, norms, 1)
        units = [leaf / length for leaf, length in zip(leaves, lengths, strict=True)]
        pairs = zip(units, memory.units, strict=True)
        cosines = jnp.stack([jnp.vdot(new, old) for new, old in pairs])
        shares, last_shares = _of_length_1(norms), _of_length_1(memory.norms)
        whole = jnp.sum(cosines * shares * last_shares)
        both = (norms > 0) & (memory.norms > 0)
        some = norms.any() & memory.norms.any()
        return memory.replace(
            units=tuple(units),
            norms=norms,
            sums=memory.sums + jnp.append(cosines, whole),
            counts=memory.counts + jnp.append(both, some),
        )

    def summarize(self, memory: CosineMemory) -> dict[str, jax.Array]:
        means = memory.sums / memory.counts
        values = {f"update/{path}/cosine": means[i] for i, path in enumerate(memory.paths)}
        return {**values, "update/cosine": means[-1]}


def _of_length_1(x: jax.Array) -> jax.Array:
    length = global_norm(x)
    return x / jnp.where(length > 0, length, 1)
