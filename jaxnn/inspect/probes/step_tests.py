"""Whether a step was of the right length: the loss before and behind it, and its position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.inspect.probes.noise import check_groups, groups_of
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace
from jaxnn.train.step.view import Loss, View

__all__ = ["Alpha", "LossDecrease"]


class DecreaseSums(NamedTuple):
    """Memory of `LossDecrease`: sums over steps, and what one step adds."""

    steps: jax.Array  # ()
    before: jax.Array  # ()
    after: jax.Array  # ()
    decreased: jax.Array  # () steps behind which the loss is lower


@dataclass(frozen=True)
class LossDecrease:
    r"""The loss of a batch before and behind the step that was taken on it.

    $$L_B(\theta_t), \qquad L_B(\theta_{t+1})$$

    The loss is what the step minimizes, penalty included, with the draws of the step. Recorded
    per epoch: "batch_loss/before" and "batch_loss/after", means over the steps measured, and
    "batch_loss/decreased", the share of steps behind which the loss is lower. A share far below 1
    says that the rate is too high.

    One measurement takes two forward passes.

    Attributes:
      every: steps from one that is measured to the next.

    Raises:
      ValueError: `every` is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.01)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = LossDecrease(every=10)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> run.history.epochs[-1].values["batch_loss/decreased"]
    1.0

    Source: lectures L, N and S on the learning rate; Schneider et al. 2021, Cockpit.
    """

    every: int = 50

    needs: ClassVar[tuple[str, ...]] = ("measured",)

    def __post_init__(self) -> None:
        check_positive_int("every", self.every)

    def measure(self, view: View) -> DecreaseSums:
        before, after = view.value(view.params), view.value(view.stepped)
        decreased = (after < before).astype(before.dtype)
        return DecreaseSums(jnp.ones_like(before), before, after, decreased)

    def init(self, state: TrainState, shapes: StepTrace) -> DecreaseSums:
        del state
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.measured)

    def update(self, memory: DecreaseSums, trace: StepTrace) -> DecreaseSums:
        return jax.tree.map(jnp.add, memory, trace.measured)

    def summarize(self, memory: DecreaseSums) -> dict[str, jax.Array]:
        return {
            "batch_loss/before": memory.before / memory.steps,
            "batch_loss/after": memory.after / memory.steps,
            "batch_loss/decreased": memory.decreased / memory.steps,
        }


class AlphaSums(NamedTuple):
    """Memory of `Alpha`: sums over steps, and what one step adds."""

    steps: jax.Array  # () steps that go downhill at their start
    total: jax.Array  # ()


@dataclass(frozen=True)
class Alpha:
    r"""Where a step ends on the parabola that fits the loss along it: Cockpit's α.

    With the loss $f_0$ and its slope $d_0$ along the step at the step's start, and $f_1$ and $d_1$
    at its end, a parabola over t in [0, 1] has $f_1 - f_0 = (d_0 + d_1) / 2$. What the four
    measured numbers lack of it is spread over them in proportion to their variances:

    $$r = f_1 - f_0 - \tfrac12 (d_0 + d_1), \qquad
    S = \sigma_{f_0}^2 + \sigma_{f_1}^2 + \tfrac14 (\sigma_{d_0}^2 + \sigma_{d_1}^2), \qquad
    \hat d_j = d_j + \frac{\sigma_{d_j}^2 r}{2 S}, \qquad \alpha = -\frac{\hat d_1}{\hat d_0}$$

    −1 is a step of no length, 0 ends at the lowest point of the parabola, and 1 ends at the
    same height on the other side. The loss is what the step minimizes, penalty included, with the
    draws of the step. The variances are those of means over the batch, estimated from groups of
    its rows. Recorded per epoch as "alpha", the mean over the steps measured; steps that do not
    go downhill at their start are left out.

    One measurement takes about as long as two gradients of a step.

    Attributes:
      groups: how many groups of rows, at least 2, as in `GradientNoise`.
      every: steps from one that is measured to the next.

    Raises:
      ValueError: an argument that is no positive integer, or `groups` below 2.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.01)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = Alpha(every=10)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> -1 < run.history.epochs[-1].values["alpha"] < 0
    True

    Source: Schneider et al. 2021, Cockpit: a practical debugging tool for the training of deep
    neural networks, section 3.
    """

    groups: int = 8
    every: int = 50

    needs: ClassVar[tuple[str, ...]] = ("measured",)

    def __post_init__(self) -> None:
        check_groups(self.groups)
        check_positive_int("every", self.every)

    def measure(self, view: View) -> AlphaSums:
        def of_loss(loss: Loss) -> jax.Array:
            ends = (view.params, view.stepped)
            pairs = [jax.jvp(loss, (end,), (view.updates,)) for end in ends]
            (f0, d0), (f1, d1) = pairs
            return jnp.stack([f0, f1, d0, d1])

        def of_group(loss: Loss, count: jax.Array) -> Any:
            sums = of_loss(loss)
            squares = jnp.square(sums) / jnp.where(count > 0, count, 1)
            return sums, squares, count, (count > 0).astype(sums.dtype)

        sums, squares, n, used = view.sum_over(of_group, groups_of(view, self.groups))
        n = jnp.where(n > 0, n, 1)
        several = used > 1
        # Variances of the means, up to a factor that cancels out; alike where there are none.
        spread = jnp.maximum(squares - jnp.square(sums) / n, 0)
        spread = jnp.where(several & (spread.sum() > 0), spread, 1)
        f0, f1, d0, d1 = sums / n + view.penalty(of_loss)
        lack = f1 - f0 - (d0 + d1) / 2
        half = lack / (2 * (spread[0] + spread[1]) + (spread[2] + spread[3]) / 2)
        d0, d1 = d0 + spread[2] * half, d1 + spread[3] * half
        downhill = d0 < 0
        return AlphaSums(
            downhill.astype(d0.dtype), jnp.where(downhill, -d1 / jnp.where(downhill, d0, 1), 0)
        )

    def init(self, state: TrainState, shapes: StepTrace) -> AlphaSums:
        del state
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.measured)

    def update(self, memory: AlphaSums, trace: StepTrace) -> AlphaSums:
        return jax.tree.map(jnp.add, memory, trace.measured)

    def summarize(self, memory: AlphaSums) -> dict[str, jax.Array]:
        return {"alpha": memory.total / memory.steps}
