"""Metrics of a classifier's probabilities, computed from its logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_positive_int
from jaxnn.losses.classification import softmax_cross_entropy
from jaxnn.metrics.classification import classes_of
from jaxnn.metrics.sums import Pair, weight_of, weighted

__all__ = ["Calibration", "calibration_error", "negative_log_likelihood"]


def negative_log_likelihood(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None
) -> Pair:
    r"""Measure the mean of $-\log \mathrm{softmax}(z)_y$, without smoothing or class weights.

    It can be compared between runs whose losses differ in those, and its exponential is the
    perplexity. (`jaxnn.losses.negative_log_likelihood` is the loss, which takes
    log-probabilities.)

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes).
      weight: as in `weighted`.

    Returns:
      The pair (sum in nats, weight).

    Raises:
      TypeError, ValueError: as in `jaxnn.losses.softmax_cross_entropy`.

    >>> negative_log_likelihood(jnp.zeros((3, 2)), jnp.array([0, 1, 1]))
    (Array(2.0794415, dtype=float32), Array(3., dtype=float32))
    """
    return weighted(softmax_cross_entropy(logits, labels), weight)


class Calibration(struct.PyTreeNode):
    """The accumulator that `calibration_error` returns."""

    weight: jax.Array  # (bins,)
    confidence: jax.Array  # (bins,) weighted sum of the largest probabilities
    correct: jax.Array  # (bins,) weight of the correct examples

    def result(self) -> jax.Array:
        count = self.weight.sum()
        gaps = jnp.abs(self.correct - self.confidence).sum()
        return jnp.where(count > 0, gaps / jnp.where(count > 0, count, 1), 0)


def calibration_error(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None, *, bins: int = 15
) -> Calibration:
    r"""Measure the expected calibration error, the gap between confidence and accuracy.

    $$\mathrm{ECE} = \sum_b \frac{n_b}{n}\, \big| \mathrm{acc}_b - \mathrm{conf}_b \big|$$

    The sum runs over the bins $(\tfrac{b}{B}, \tfrac{b+1}{B}]$ of the largest probability.
    The sums of each bin are added over batches, so the error is that of the whole data, not a
    mean of the batches' errors.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      bins: B, the number of bins, which are equally wide; static.

    Returns:
      An accumulator; its result is in [0, 1], and 0 if nothing was counted.

    Raises:
      ValueError: the labels have another shape, or `bins` is not a positive integer.

    >>> logits = jnp.log(jnp.array([[0.75, 0.25], [0.75, 0.25]]))
    >>> calibration_error(logits, jnp.array([0, 1])).result()
    Array(0.25, dtype=float32)

    Source: Guo et al. 2017, who also take 15 bins.
    """
    check_positive_int("bins", bins)
    correct = logits.argmax(-1) == classes_of(logits, labels)
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    confidence = jax.nn.softmax(wide).max(-1)
    weight = weight_of(confidence, weight)
    confidence = jnp.where(weight > 0, confidence, 0)  # outputs of weight 0 may be NaN
    bin_of = jnp.clip(jnp.ceil(confidence * bins) - 1, 0, bins - 1).astype(jnp.int32)

    def summed(values: jax.Array) -> jax.Array:
        return jnp.zeros(bins, values.dtype).at[bin_of].add(values)

    return Calibration(summed(weight), summed(weight * confidence), summed(weight * correct))
