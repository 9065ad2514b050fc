"""What the activations of each layer look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_text
from jaxnn.nn.taps import Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["Activations"]


class ActivationSums(NamedTuple):
    """Sums over the activations of one layer: its memory, and what a tap is reduced to."""

    count: jax.Array  # () activations of real rows
    total: jax.Array  # ()
    zeros: jax.Array  # () how many are exactly 0


@dataclass(frozen=True)
class Activations:
    r"""The activations of each layer: their mean, and the share of them that is exactly zero.

    $$\bar a = \frac{1}{N} \sum a, \qquad z = \frac{1}{N} \sum [a = 0]$$

    The sums go over the units of a layer, the rows that are not padding, and the steps of an
    epoch. Recorded per epoch as "activation/Dense_0/mean" and "activation/Dense_0/zeros" for a
    layer with an activation function behind it, and otherwise as "output/Dense_1/mean" and so on.
    The share of zeros of a ReLU layer is that of its silent units: near 0.5 at the start, and near
    1 where a layer has died. NaN says that a layer was not measured: no gradient reached it.

    Attributes:
      layers: regular expression, searched for in the paths of layers ("Block_1/Conv_0"); "" for
        all of them.

    Raises:
      TypeError: `layers` is no text.
      ValueError: a text that is no regular expression.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((20, 10)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[Activations()])
    >>> values = run.history.epochs[-1].values
    >>> 0.2 < values["activation/Dense_0/zeros"] < 0.8
    True
    >>> values["output/Dense_1/zeros"]
    0.0

    Source: lectures C and S on ReLU units that fall silent.
    """

    layers: str = ""

    needs: ClassVar[tuple[str, ...]] = ("taps",)

    def __post_init__(self) -> None:
        check_text("layers", self.layers)
        try:
            re.compile(self.layers)
        except re.error as error:
            raise ValueError(
                f"layers must be a regular expression, got {self.layers!r}: {error}"
            ) from error

    def reduce(self, tap: Tap) -> ActivationSums | None:
        wanted = "activation" if "activation" in tap.sites else "output"
        if tap.site != wanted or not re.search(self.layers, tap.path):
            return None
        return ActivationSums(
            count=jnp.sum(tap.real),
            total=jnp.sum(jnp.where(tap.real, tap.x, 0)),
            zeros=jnp.sum(tap.real & (tap.x == 0)),
        )

    def init(self, state: TrainState, shapes: StepTrace) -> dict[str, ActivationSums]:
        del state
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.taps)

    def update(
        self, memory: dict[str, ActivationSums], trace: StepTrace
    ) -> dict[str, ActivationSums]:
        return {name: _added(sums, trace.taps[name]) for name, sums in memory.items()}

    def summarize(self, memory: Mapping[str, ActivationSums]) -> dict[str, jax.Array]:
        values = {}
        for name, sums in memory.items():
            # 0 / 0 is NaN where nothing was measured in the whole epoch.
            values[f"{name}/mean"] = sums.total / sums.count
            values[f"{name}/zeros"] = sums.zeros / sums.count
        return values


def _added(memory: ActivationSums, step: ActivationSums) -> ActivationSums:
    # A layer that only some batches use is measured in those steps alone.
    measured = ~jnp.isnan(step.count)
    return jax.tree.map(lambda sum_, new: sum_ + jnp.where(measured, new, 0), memory, step)
