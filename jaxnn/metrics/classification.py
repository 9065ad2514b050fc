"""Metrics of classifiers, from their logits."""

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
    """Labels as integer classes: as they are, or the largest of probabilities.

    Raises:
      ValueError: labels of another shape than (…) or (…, classes).
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
    """How often the largest logit is the label's class; of equal ones the first is largest.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest counts.
      weight: see `weighted`.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      ValueError: labels of another shape.

    >>> accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0]))
    (Array(1., dtype=float32), Array(2., dtype=float32))
    """
    correct = logits.argmax(-1) == classes_of(logits, labels)
    return weighted(correct.astype(jnp.float32), weight)


def top_k_accuracy(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None, *, k: int = 5
) -> Pair:
    """How often the label's class is among the `k` largest logits.

    Of equal logits those of lower classes come first, so k = 1 is `accuracy`, and constant
    logits are right about k of all classes. In a recipe: `partial(top_k_accuracy, k=3)`.

    Args:
      logits: (…, classes).
      labels: integer classes (…), or probabilities (…, classes), whose largest counts.
      weight: see `weighted`.
      k: from 1 to the number of classes; static.

    Returns:
      The pair (weight of the correct examples, weight of all).

    Raises:
      ValueError: labels of another shape, a `k` outside its range.

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
    """How often the probability and the target of a yes are on the same side of ½.

    A yes is a logit above 0 and a target above ½. Several outputs of an example count each.

    Args:
      logits: (n, …).
      targets: of exactly the same shape, 0 or 1, or probabilities.
      weight: see `weighted`.

    Returns:
      The pair (weight of the correct outputs, weight of all).

    Raises:
      ValueError: shapes that differ.

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
    """See `confusion_matrix`."""

    counts: jax.Array  # (classes, classes): true class, predicted class

    def result(self) -> jax.Array:
        return self.counts


def confusion_matrix(
    logits: jax.Array, labels: jax.Array, weight: jax.Array | None = None
) -> ConfusionMatrix:
    """How often each class was taken for each: rows are true classes, columns predicted ones.

    As in scikit-learn. The epoch's record holds it in `arrays`.

    Args:
      logits: (…, classes); the largest is the prediction, the first of equal ones.
      labels: integer classes (…), or probabilities (…, classes), whose largest counts. A
        label outside [0, classes) is counted nowhere.
      weight: see `weighted`.

    Returns:
      An accumulator; its result is the weights' sums, (classes, classes).

    Raises:
      ValueError: labels of another shape.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> confusion_matrix(logits, jnp.array([0, 0, 1])).result()
    Array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    classes, true = logits.shape[-1], classes_of(logits, labels)
    weight = weight_of(jnp.zeros(true.shape, jnp.promote_types(logits.dtype, jnp.float32)), weight)
    # A negative index would count from the end; one behind the end is dropped.
    true = jnp.where(true < 0, classes, true)
    counts = jnp.zeros((classes, classes), weight.dtype)
    return ConfusionMatrix(counts.at[true, logits.argmax(-1)].add(weight, mode="drop"))
