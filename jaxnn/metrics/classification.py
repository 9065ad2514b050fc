"""Metrics of classifiers, computed from their logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_positive_int
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.judged import judged
from jaxnn.metrics.sums import Pair, weighted

__all__ = [
    "ConfusionMatrix",
    "accuracy",
    "confusion_matrix",
    "top_k_accuracy",
]


@best_is("max")
def accuracy(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Pair:
    """Measure how often the class of the largest logit is the label's class.

    Of equal logits the first counts as the largest. Logits with NaN, or whose largest is
    infinite, are counted wrong.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      axis: of the classes in logits and probabilities, such as 1 for images of classes
        (n, classes, height, width); static.
      where: bool, (…), or of its leading axes: which examples count. None: all.
      ignore_index: an integer label whose examples do not count; static. None: every label is
        a class.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      TypeError: labels of shape (…) are not integers.
      ValueError: the labels have another shape, or integers wider than JAX keeps; or a concrete
        weight is negative or not finite.

    >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    it = judged(logits, labels, weight, axis, where, ignore_index)
    correct = it.finite & (it.predicted == it.labels)
    return weighted(correct.astype(jnp.float32), it.weight)


@best_is("max")
def top_k_accuracy(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    k: int = 5,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Pair:
    """Measure how often the label's class is among the `k` largest logits.

    Of equal logits those of lower classes come first. So k = 1 gives `accuracy`, and constant
    logits are right for k of the classes. In a recipe: `partial(top_k_accuracy, k=3)`.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      k: from 1 to the number of classes; static.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      TypeError, ValueError: as in `accuracy`, or `k` is outside its range.

    >>> logits = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> top_k_accuracy(logits, jnp.array([1, 2]), k=2)
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    it = judged(logits, labels, weight, axis, where, ignore_index)
    classes = it.logits.shape[-1]
    if check_positive_int("k", k) > classes:
        raise ValueError(f"k must be at most the number of classes, {classes}, got {k}")
    _, best = jax.lax.top_k(it.logits, k)
    correct = it.finite & (best == it.labels[..., None]).any(-1)
    return weighted(correct.astype(jnp.float32), it.weight)


class ConfusionMatrix(struct.PyTreeNode):
    """The accumulator that `confusion_matrix` returns."""

    counts: jax.Array  # (classes, classes): true class, predicted class

    def result(self) -> jax.Array:
        return self.counts


def confusion_matrix(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> ConfusionMatrix:
    """Count how often each class was predicted for each true class.

    Rows are true classes and columns predicted ones, as in scikit-learn. The epoch's record
    holds the matrix in `arrays`. A matrix is neither high nor low, so it has no direction.

    Args:
      logits: (…, classes); the largest is the prediction, of equal ones the first. Logits with
        NaN, or whose largest is infinite, predict no class: the row of their true class is NaN.
      labels: integer classes (…), or probabilities (…, classes), whose largest is the
        class. A label outside [0, classes) is not counted.
      weight: as in `weighted`.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is a (classes, classes) array of sums of weights.

    Raises:
      TypeError, ValueError: as in `accuracy`.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> confusion_matrix(logits, jnp.array([0, 0, 1])).result()
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    it = judged(logits, labels, weight, axis, where, ignore_index)
    classes = it.logits.shape[-1]
    # A negative index would count from the end; the scatter drops one beyond the end.
    true = jnp.where(it.labels < 0, classes, it.labels)
    counts = jnp.zeros((classes, classes), it.weights.dtype)
    counts = counts.at[true, it.predicted].add(it.poisoned, mode="drop")
    return ConfusionMatrix(jnp.where(jnp.isnan(counts).any(1, keepdims=True), jnp.nan, counts))
