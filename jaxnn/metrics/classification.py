"""Metrics of classifiers, computed from their logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_positive_int
from jaxnn.metrics.sums import Pair, weight_of, weighted

__all__ = [
    "ConfusionMatrix",
    "accuracy",
    "binary_accuracy",
    "classes_of",
    "confusion_matrix",
    "top_k_accuracy",
]


def classes_of(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return labels as integer classes; of probabilities, the class of the largest.

    Raises:
      ValueError: the labels have another shape than (…) or (…, classes).
    """
    if labels.shape == logits.shape:
        return labels.argmax(-1)
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels must have shape {logits.shape[:-1]} (classes) or {logits.shape} "
            f"(probabilities), got {labels.shape}"
        )
    return labels


def accuracy(logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> Pair:
    """Measure how often the class of the largest logit is the label's class.

    Of equal logits the first counts as the largest.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      ValueError: the labels have another shape.

    >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    correct = logits.argmax(-1) == classes_of(logits, labels)
    return weighted(correct.astype(jnp.float32), weight)


def top_k_accuracy(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None, *, k: int = 5
) -> Pair:
    """Measure how often the label's class is among the `k` largest logits.

    Of equal logits those of lower classes come first. So k = 1 gives `accuracy`, and constant
    logits are right for k of the classes. In a recipe: `partial(top_k_accuracy, k=3)`.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      k: from 1 to the number of classes; static.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      ValueError: the labels have another shape, or `k` is outside its range.

    >>> logits = jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    >>> top_k_accuracy(logits, jnp.array([1, 2]), k=2)
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    if check_positive_int("k", k) > logits.shape[-1]:
        raise ValueError(f"k must be at most the number of classes, {logits.shape[-1]}, got {k}")
    _, best = jax.lax.top_k(logits, k)
    correct = (best == classes_of(logits, labels)[..., None]).any(-1)
    return weighted(correct.astype(jnp.float32), weight)


def binary_accuracy(logits: jax.Array, targets: jax.Array, weight: jax.Array | None = None) -> Pair:
    """Measure how often prediction and target are on the same side of ½.

    A prediction is 1 if its logit is above 0, a target if it is above ½. Each output of an
    example counts.

    Args:
      logits: (n, …).
      targets: of exactly the same shape, 0 or 1, or probabilities.
      weight: as in `weighted`.

    Returns:
      The pair (weight of the correct outputs, weight of all).

    Raises:
      ValueError: the shapes differ.

    >>> binary_accuracy(jnp.array([2.0, -1.0, 3.0]), jnp.array([1, 0, 0]))
    (Array(2., dtype=float32), Array(3., dtype=float32))
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the logits, {logits.shape}, got {targets.shape}"
        )
    correct = (logits > 0) == (targets > 0.5)
    return weighted(correct.astype(jnp.float32), weight)


class ConfusionMatrix(struct.PyTreeNode):
    """The accumulator that `confusion_matrix` returns."""

    counts: jax.Array  # (classes, classes): true class, predicted class

    def result(self) -> jax.Array:
        return self.counts


def confusion_matrix(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None
) -> ConfusionMatrix:
    """Count how often each class was predicted for each true class.

    Rows are true classes and columns predicted ones, as in scikit-learn. The epoch's record
    holds the matrix in `arrays`.

    Args:
      logits: (…, classes); the largest is the prediction, of equal ones the first.
      labels: integer classes (…), or probabilities (…, classes), whose largest is the
        class. A label outside [0, classes) is not counted.
      weight: as in `weighted`.

    Returns:
      An accumulator; its result is a (classes, classes) array of sums of weights.

    Raises:
      ValueError: the labels have another shape.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> confusion_matrix(logits, jnp.array([0, 0, 1])).result()
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    classes, true = logits.shape[-1], classes_of(logits, labels)
    weight = weight_of(jnp.zeros(true.shape, jnp.promote_types(logits.dtype, jnp.float32)), weight)
    # A negative index would count from the end; the scatter drops one beyond the end.
    true = jnp.where(true < 0, classes, true)
    counts = jnp.zeros((classes, classes), weight.dtype)
    return ConfusionMatrix(counts.at[true, logits.argmax(-1)].add(weight, mode="drop"))
