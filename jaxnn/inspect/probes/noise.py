"""How much the gradients of examples differ, and which batch size that suits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.norms import sum_of_squares
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace
from jaxnn.train.step.view import Loss, View

__all__ = ["GradientNoise"]


class NoiseSums(NamedTuple):
    """Memory of `GradientNoise`: sums over steps, and what one step adds."""

    steps: jax.Array  # () steps in which at least two groups have real rows
    variance: jax.Array  # () variance of an example's gradient
    of_batch: jax.Array  # () variance of the batch's gradient
    signal: jax.Array  # () squared norm of the true gradient


@dataclass(frozen=True)
class GradientNoise:
    r"""The variance of the gradients of examples, and the gradient noise scale.

    The batch is cut into m groups of $n_i$ rows, n in all, with the gradients $g_i$ of their mean
    losses; $\bar g$ is that of the batch.

    $$\widehat{\operatorname{tr} \Sigma} = \frac{1}{m - 1} \sum_i n_i \lVert g_i - \bar g\rVert^2,
    \qquad \widehat{\lVert G \rVert^2} = \lVert \bar g \rVert^2 -
    \frac{\widehat{\operatorname{tr} \Sigma}}{n}, \qquad
    B = \frac{\operatorname{tr} \Sigma}{\lVert G \rVert^2}$$

    Both estimates are unbiased for every size of the groups, and less noisy with more groups.
    Recorded per epoch: "noise/example_variance", the mean of tr Σ; "noise/batch_variance", the
    mean of tr Σ / n; and "noise/scale", the ratio of the means, B, in examples. A batch much
    smaller than B is mostly noise, and one much larger wastes examples. B is infinite where the
    noise hides the gradient. The loss is that of the examples, without the penalty.

    One measurement takes about as long as the gradient of a step.

    Attributes:
      groups: how many groups of consecutive rows, at least 2, or as many below as divide the rows
        of a batch; a number of rows that only 1 divides is cut into single rows. Of each device,
        in a program that runs per device.
      every: steps from one that is measured to the next.

    Raises:
      ValueError: an argument that is no positive integer, or `groups` below 2.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = GradientNoise(every=10)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> values = run.history.epochs[-1].values
    >>> values["noise/batch_variance"] < values["noise/example_variance"]
    True

    Source: McCandlish et al. 2018, An empirical model of large-batch training, appendix A;
    lecture N on batch size.
    """

    groups: int = 8
    every: int = 50

    needs: ClassVar[tuple[str, ...]] = ("measured",)

    def __post_init__(self) -> None:
        check_groups(self.groups)
        check_positive_int("every", self.every)

    def measure(self, view: View) -> NoiseSums:
        def of_group(loss: Loss, count: jax.Array) -> Any:
            gradient = jax.grad(loss)(view.params)
            squares = sum_of_squares(gradient) / jnp.where(count > 0, count, 1)
            return gradient, squares, count, (count > 0).astype(squares.dtype)

        gradient, squares, n, used = view.sum_over(of_group, groups_of(view, self.groups))
        measured, n = used > 1, jnp.where(n > 0, n, 1)
        square_of_sum = sum_of_squares(gradient)
        variance = (squares - square_of_sum / n) / jnp.where(measured, used - 1, 1)
        signal = square_of_sum / jnp.square(n) - variance / n
        sums = NoiseSums(jnp.ones_like(variance), variance, variance / n, signal)
        return jax.tree.map(lambda leaf: jnp.where(measured, leaf, 0), sums)

    def init(self, state: TrainState, shapes: StepTrace) -> NoiseSums:
        del state
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.measured)

    def update(self, memory: NoiseSums, trace: StepTrace) -> NoiseSums:
        return jax.tree.map(jnp.add, memory, trace.measured)

    def summarize(self, memory: NoiseSums) -> dict[str, jax.Array]:
        hidden = (memory.signal <= 0) & (memory.steps > 0)
        return {
            "noise/example_variance": memory.variance / memory.steps,
            "noise/batch_variance": memory.of_batch / memory.steps,
            "noise/scale": jnp.where(hidden, jnp.inf, memory.variance / memory.signal),
        }


def check_groups(groups: Any) -> None:
    """Refuse what is no integer of at least 2."""
    if check_positive_int("groups", groups) < 2:
        raise ValueError(f"groups must be at least 2, since one has no variance, got {groups}")


def groups_of(view: View, groups: int) -> int:
    """How many groups of one size the rows of a batch are cut into.

    Args:
      view: holds the batch.
      groups: the number asked for; at least that of the micro-batches is taken, to save memory.
    """
    rows = jax.tree.leaves(view.batch)[0].shape[0]
    most = min(max(groups, view.accumulate), rows)
    whole = max(number for number in range(1, most + 1) if rows % number == 0)
    return whole if whole > 1 else rows
