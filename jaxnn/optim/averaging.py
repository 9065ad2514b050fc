"""A running average of the parameters, which often generalizes better than the last ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import Knob, check_scheduled, value_at
from jaxnn.optim.moments import towards

__all__ = ["ParameterAverage", "parameter_average"]


@dataclass(frozen=True, eq=False)
class ParameterAverage:
    """The average that `parameter_average` builds: two pure functions, `init` and `update`."""

    decay: Knob
    warmup: bool
    evaluate: bool

    def init(self, tree: Any) -> Any:
        """Return the average before the first update: the tree itself, in float32 or wider.

        In bfloat16 a decay of 0.999 is 1, and the average would never move.
        """

        def widened(leaf: jax.Array) -> jax.Array:
            inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
            return leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) if inexact else leaf

        return jax.tree.map(widened, tree)

    def update(self, averaged: Any, tree: Any, count: jax.Array) -> Any:
        """Return the average after update number `count`, counted from 0."""
        decay = value_at(self.decay, count)
        if self.warmup:
            t = jnp.asarray(count, float)
            decay = jnp.minimum(decay, (1 + t) / (10 + t))

        def average(old: jax.Array, new: jax.Array) -> jax.Array:
            # Counters and other integers have no mean: the new value replaces the old.
            return towards(decay, old, new) if jnp.issubdtype(old.dtype, jnp.inexact) else new

        return jax.tree.map(average, averaged, tree)


def parameter_average(
    decay: Knob = 0.999, *, warmup: bool = True, evaluate: bool = True
) -> ParameterAverage:
    r"""Build an exponential average of parameters and running statistics, for a `Recipe`.

    $$\bar\theta \leftarrow d_t \bar\theta + (1 - d_t)\,\theta, \qquad
    d_t = \min\Big(d, \frac{1+t}{10+t}\Big) \text{ with warm-up, } d \text{ without}$$

    The average starts from the initial parameters and is updated after each update of the
    parameters. The other collections of the model, such as the running statistics of batch
    normalization, are averaged the same way, so that parameters and statistics fit together.
    (`optax.ema` is something else: it averages updates.)

    Args:
      decay: d, in [0, 1]; a float, a traced scalar or a schedule.
      warmup: whether to average over fewer updates at first, as TensorFlow does. Without it, a
        decay of 0.999 remembers the initial weights for thousands of steps.
      evaluate: whether evaluation and prediction use the average. Otherwise it is only kept, in
        `TrainState.averaged`.

    Returns:
      A pair of pure functions, `init(tree)` and `update(averaged, tree, count)`.

    Raises:
      ValueError: a concrete decay is outside [0, 1].

    >>> average = parameter_average(0.5, warmup=False)
    >>> average.update(average.init({"w": jnp.zeros(1)}), {"w": jnp.ones(1)}, jnp.int32(0))
    {'w': Array([0.5], dtype=float32)}

    Source: Polyak and Juditsky 1992; lecture N.
    """
    check_scheduled("decay", decay, 0, 1)
    warmup, evaluate = check_flag("warmup", warmup), check_flag("evaluate", evaluate)
    return ParameterAverage(decay, warmup, evaluate)
