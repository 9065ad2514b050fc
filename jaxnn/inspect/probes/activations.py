"""What the activations of each layer look like, and the gradients at them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_knob
from jaxnn.inspect.probes.leaves import check_pattern
from jaxnn.nn.taps import Bounds, Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["Activations", "is_watched"]


_OF_RELU = Bounds(0.0, math.inf, 0.0)


class ActivationSums(NamedTuple):
    """Sums over the activations of one layer: its memory, and what a tap is reduced to.

    A sum that is not asked for is None.
    """

    count: jax.Array  # () activations of real rows
    moments: jax.Array  # (2,) sums of a and of a²
    fired: jax.Array  # (units,) how many are not 0
    saturated: jax.Array | None  # () how many are next to a bound of the activation function
    gradients: jax.Array | None  # (3,) sums of g and of g², and how many are exactly 0


@dataclass(frozen=True)
class Activations:
    r"""The activations of each layer and the gradients at them: moments, zeros, dead units.

    $$\bar a = \frac{1}{N} \sum a, \qquad s^2 = \frac{1}{N} \sum a^2 - \bar a^2, \qquad
    z = \frac{1}{N} \sum [a = 0]$$

    The sums go over the units of a layer, the rows that are not padding, and the steps of an
    epoch. Recorded per epoch as "activation/Dense_0/mean" and so on for a layer with an activation
    function behind it, and otherwise as "output/Dense_1/mean":

    - "mean", "std", "zeros": mean, standard deviation, and the share that is exactly 0. The
      zeros of a ReLU layer are near 0.5 at the start, and near 1 where it has died.
    - "dead": the share of units that are 0 in every row of the whole epoch. Units are the last
      axis of a layer: a convolution's unit is a channel.
    - "saturated": the share next to a bound of the activation function, where it has one: within
      `margin` of the range of sigmoid and tanh, below −1 + `margin` of ELU, at 0 of ReLU. The
      bounds are those of the functions in `jaxnn.nn.ACTIVATIONS`, found by name.
    - "gradient_mean", "gradient_std", "gradient_zeros": the same of the gradient of the summed
      loss of a batch by the activations.

    NaN says that a layer was not measured: no gradient reached it. The standard deviation loses
    digits where the mean is a thousand times larger.

    Attributes:
      layers: regular expression, searched for in the paths of layers ("Block_1/Conv_0"); "" for
        all of them.
      gradients: whether the gradients at activations are measured too.
      margin: share of the range of an activation function that counts as its end, in (0, 0.5).
      every: steps from one that is measured to the next.

    Raises:
      TypeError: `layers` is no text, `gradients` not True or False.
      ValueError: a text that is no regular expression, a `margin` outside its range, or an
        `every` that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((20, 10)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[Activations()])
    >>> values = run.history.epochs[-1].values
    >>> 0.2 < values["activation/Dense_0/zeros"] < 0.8
    True
    >>> values["output/Dense_1/zeros"], values["activation/Dense_0/dead"]
    (0.0, 0.0)

    Source: lectures C and S on ReLU units that fall silent; lectures C and M on saturation.
    """

    layers: str = ""
    gradients: bool = True
    margin: float = 0.01
    every: int = 1

    needs: ClassVar[tuple[str, ...]] = ("taps",)

    def __post_init__(self) -> None:
        check_pattern("layers", self.layers, self.every)
        check_flag("gradients", self.gradients)
        check_knob("margin", self.margin, 0, 0.5, low_open=True, high_open=True)

    def reduce(self, tap: Tap) -> ActivationSums | None:
        if not is_watched(tap, self.layers):
            return None
        x = jnp.where(tap.real, tap.x, 0)
        fired = jnp.sum(x != 0, axis=tuple(range(x.ndim - 1)))
        count, saturated, gradients = jnp.sum(tap.real), None, None
        if tap.bounds == _OF_RELU:  # its end is 0, and all of those are counted already
            saturated = count - fired.sum()
        elif tap.bounds is not None:
            low, high = tap.bounds.ends(self.margin)
            saturated = jnp.sum(tap.real & ((tap.x <= low) | (tap.x >= high)))
        if self.gradients:
            # Padding has no share in the loss, and so no gradient but 0.
            g, zeros = tap.gradient, jnp.sum(tap.real & (tap.gradient == 0))
            gradients = jnp.stack([g.sum(), jnp.square(g).sum(), zeros.astype(g.dtype)])
        return ActivationSums(
            count=count,
            moments=jnp.stack([x.sum(), jnp.square(x).sum()]),
            fired=fired,
            saturated=saturated,
            gradients=gradients,
        )

    def init(self, state: TrainState, shapes: StepTrace) -> dict[str, ActivationSums]:
        del state
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.taps)

    def update(
        self, memory: dict[str, ActivationSums], trace: StepTrace
    ) -> dict[str, ActivationSums]:
        return {name: _added(sums, trace.taps[name]) for name, sums in memory.items()}

    def summarize(self, memory: dict[str, ActivationSums]) -> dict[str, jax.Array]:
        values = {}
        for name, sums in memory.items():
            # 0 / 0 is NaN where nothing was measured in the whole epoch.
            measured = sums.count / sums.count
            found = _mean_and_std(sums.moments / sums.count)
            found["zeros"] = 1 - sums.fired.sum() / sums.count
            found["dead"] = jnp.mean(sums.fired == 0) * measured
            if sums.saturated is not None:
                found["saturated"] = sums.saturated / sums.count
            if sums.gradients is not None:
                means = sums.gradients / sums.count
                of_gradient = {**_mean_and_std(means[:2]), "zeros": means[2]}
                found |= {f"gradient_{kind}": value for kind, value in of_gradient.items()}
            values |= {f"{name}/{kind}": value for kind, value in found.items()}
        return values


def is_watched(tap: Tap, layers: str) -> bool:
    """Whether a tap is behind a layer's activation function, or at its output if it has none.

    Args:
      tap: in question.
      layers: regular expression, searched for in the layer's path.
    """
    wanted = "activation" if "activation" in tap.sites else "output"
    return tap.site == wanted and re.search(layers, tap.path) is not None


def _mean_and_std(means: jax.Array) -> dict[str, jax.Array]:
    """Mean and standard deviation from the means of a value and of its square."""
    variance = means[1] - jnp.square(means[0])
    return {"mean": means[0], "std": jnp.sqrt(jnp.maximum(variance, 0))}


def _added(memory: ActivationSums, step: ActivationSums) -> ActivationSums:
    # A layer that only some batches use is measured in those steps alone.
    measured = ~jnp.isnan(step.count)
    return jax.tree.map(lambda sum_, new: sum_ + jnp.where(measured, new, 0), memory, step)
