"""Metrics of a classifier's probabilities, computed from its logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_positive_int
from jaxnn.losses.classification import cross_entropy
from jaxnn.losses.parts import wide
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.judged import judged, labelled
from jaxnn.metrics.sums import Pair, ratio, weighted

__all__ = [
    "Calibration",
    "Perplexity",
    "calibration_error",
    "negative_log_likelihood",
    "perplexity",
]


@best_is("min")
def negative_log_likelihood(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Pair:
    r"""Measure the mean of $-\log \mathrm{softmax}(z)_y$, without smoothing or class weights.

    It can be compared between runs whose losses differ in those, and its exponential is the
    `perplexity`. (`jaxnn.losses.negative_log_likelihood` is the loss, which takes
    log-probabilities.)

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes).
      weight: as in `weighted`.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      The pair (sum in nats, weight).

    Raises:
      TypeError, ValueError: as in `accuracy`.

    >>> negative_log_likelihood(jnp.zeros((3, 2)), jnp.array([0, 1, 1]))
    (Array(2.0794415, dtype=float32), Array(3., dtype=float32))
    """
    data, mask, weight = labelled(logits, labels, weight, axis, where, ignore_index)
    return weighted(cross_entropy(data, None, None, mask, None, logits=True), weight)


@best_is("min")
class Perplexity(struct.PyTreeNode):
    """The accumulator that `perplexity` returns."""

    total: jax.Array  # in nats
    count: jax.Array

    def result(self) -> jax.Array:
        return jnp.exp(ratio((self.total, self.count)))


@best_is("min")
def perplexity(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Perplexity:
    r"""Measure the perplexity, $\exp$ of the mean of $-\log \mathrm{softmax}(z)_y$.

    A model that knows nothing of K classes has the perplexity K. The mean is over the whole
    data, not over a batch.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes).
      weight: as in `weighted`.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is at least 1, and NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `accuracy`.

    >>> perplexity(jnp.zeros((3, 4)), jnp.array([0, 1, 3])).result()
    Array(4., dtype=float32)

    Source: Jelinek et al. 1977; common practice, no lecture teaches it.
    """
    settings = {"axis": axis, "where": where, "ignore_index": ignore_index}
    return Perplexity(*negative_log_likelihood(logits, labels, weight, **settings))


@best_is("min")
class Calibration(struct.PyTreeNode):
    """The accumulator that `calibration_error` returns."""

    weight: jax.Array  # (bins,)
    confidence: jax.Array  # (bins,) weighted sum of the largest probabilities
    correct: jax.Array  # (bins,) weight of the correct examples

    def result(self) -> jax.Array:
        return ratio((jnp.abs(self.correct - self.confidence).sum(), self.weight.sum()))


@best_is("min")
def calibration_error(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    bins: int = 15,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Calibration:
    r"""Measure the expected calibration error, the gap between confidence and accuracy.

    $$\mathrm{ECE} = \sum_b \frac{n_b}{n}\, \big| \mathrm{acc}_b - \mathrm{conf}_b \big|$$

    The sum runs over the bins $(\tfrac{b}{B}, \tfrac{b+1}{B}]$ of the largest probability.
    The sums of each bin are added over batches, so the error is that of the whole data, not a
    mean of the batches' errors.

    Args:
      logits: (…, classes). Those that are not finite make the result NaN; a class may be ruled
        out by −∞.
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      bins: B, the number of bins, which are equally wide; static.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `accuracy`, or `bins` is not a positive integer.

    >>> logits = jnp.log(jnp.array([[0.75, 0.25], [0.75, 0.25]]))
    >>> calibration_error(logits, jnp.array([0, 1])).result()
    Array(0.25, dtype=float32)

    Source: Guo et al. 2017, who also take 15 bins.
    """
    check_positive_int("bins", bins)
    it = judged(logits, labels, weight, axis, where, ignore_index)
    weights, correct = it.poisoned, it.predicted == it.labels
    # Outputs that are not finite have no confidence; their weight is NaN, or 0.
    confidence = jnp.where(it.finite, jax.nn.softmax(wide(it.logits)).max(-1), 0)
    bin_of = jnp.clip(jnp.ceil(confidence * bins) - 1, 0, bins - 1).astype(jnp.int32)

    def summed(values: jax.Array) -> jax.Array:
        return jnp.zeros(bins, values.dtype).at[bin_of].add(values)

    return Calibration(summed(weights), summed(weights * confidence), summed(weights * correct))
