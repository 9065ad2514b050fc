"""Precision, recall and F1 of classes, computed from logits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_choice
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.judged import judged
from jaxnn.metrics.sums import ratio

__all__ = [
    "AVERAGES",
    "Retrieval",
    "f1",
    "precision",
    "recall",
]

AVERAGES = ("macro", "micro", None)
"""How the scores of several classes become one, or stay several."""


@best_is("max")
class Retrieval(struct.PyTreeNode):
    """The accumulator of precision, recall and F1: sums of weights for each class or output."""

    hits: jax.Array  # (classes,) predicted and true
    predicted: jax.Array  # (classes,)
    true: jax.Array  # (classes,)
    seen: jax.Array  # (classes,) above 0 for a class that there was
    score: str = struct.field(pytree_node=False)
    average: str | None = struct.field(pytree_node=False)

    def result(self) -> jax.Array:
        """Return the score: a scalar, or one for each class where `average` is None."""
        if self.average == "micro":
            hits, predicted, true, seen = (
                leaf.sum() for leaf in (self.hits, self.predicted, self.true, self.seen)
            )
            return _score(self.score, hits, predicted, true, seen)
        scores = _score(self.score, self.hits, self.predicted, self.true, self.seen)
        if self.average is None:
            return scores
        there = self.seen != 0  # NaN is there too
        return ratio((jnp.where(there, scores, 0).sum(), there.sum(dtype=scores.dtype)))


def _score(
    name: str, hits: jax.Array, predicted: jax.Array, true: jax.Array, seen: jax.Array
) -> jax.Array:
    top, below = {
        "precision": (hits, predicted),
        "recall": (hits, true),
        "f1": (2 * hits, predicted + true),
    }[name]
    # A class that there was and that was never predicted has the precision 0, as in scikit-learn.
    return jnp.where((below == 0) & (seen > 0), 0, ratio((top, below)))


@best_is("max")
def precision(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    average: str | None = "macro",
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure which share of the examples that are predicted as a class are of that class.

    $$P_c = \frac{\mathrm{TP}_c}{\mathrm{TP}_c + \mathrm{FP}_c}$$

    A class that is never predicted has the precision 0. One that is neither predicted nor true
    has none: it is left out of the mean, and NaN by itself.

    Args:
      logits: (…, classes); the largest is the prediction. Logits with NaN, or whose largest is
        infinite, make the result NaN.
      labels: integer classes (…), or probabilities (…, classes), whose largest is the class.
      weight: as in `weighted`.
      average: "macro", the mean over the classes; "micro", that of all classes together, which
        is the accuracy; or None, an array (classes,), which the epoch's record holds in
        `arrays` and `jaxnn.metrics.by_class` names. Static.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `accuracy`, or `average` is none of the three.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> precision(logits, jnp.array([0, 0, 1]), average=None).result()
    Array([1. , 0.5], dtype=float32)

    Source: van Rijsbergen 1979; common practice, no lecture teaches it. (As in scikit-learn.)
    """
    return _of_classes("precision", average, logits, labels, weight, axis, where, ignore_index)


@best_is("max")
def recall(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    average: str | None = "macro",
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure which share of the examples of a class are predicted as that class.

    $$R_c = \frac{\mathrm{TP}_c}{\mathrm{TP}_c + \mathrm{FN}_c}$$

    A class that is predicted and never true has the recall 0. The macro mean is the balanced
    accuracy where every class that is predicted is there.

    Args:
      logits: as in `precision`.
      labels: as in `precision`.
      weight: as in `weighted`.
      average: as in `precision`.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `precision`.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> recall(logits, jnp.array([0, 0, 1]), average=None).result()
    Array([0.5, 1. ], dtype=float32)

    Source: van Rijsbergen 1979; common practice, no lecture teaches it. (As in scikit-learn.)
    """
    return _of_classes("recall", average, logits, labels, weight, axis, where, ignore_index)


@best_is("max")
def f1(
    logits: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    average: str | None = "macro",
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure F1, the harmonic mean of precision and recall.

    $$F_c = \frac{2\, \mathrm{TP}_c}{2\, \mathrm{TP}_c + \mathrm{FP}_c + \mathrm{FN}_c}$$

    Args:
      logits: as in `precision`.
      labels: as in `precision`.
      weight: as in `weighted`.
      average: as in `precision`; "macro" is the mean of the classes' F1.
      axis: as in `accuracy`.
      where: as in `accuracy`.
      ignore_index: as in `accuracy`.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `precision`.

    >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]])
    >>> f1(logits, jnp.array([0, 0, 1])).result()
    Array(0.6666667, dtype=float32)

    Source: van Rijsbergen 1979; common practice, no lecture teaches it. (As in scikit-learn.)
    """
    return _of_classes("f1", average, logits, labels, weight, axis, where, ignore_index)


def _of_classes(
    score: str, average: Any, logits: Any, labels: Any, weight: Any, axis: Any, *masks: Any
) -> Retrieval:
    check_choice("average", average, AVERAGES)
    it = judged(logits, labels, weight, axis, *masks)
    weights, classes = it.poisoned, it.logits.shape[-1]

    def summed(index: jax.Array, weights: jax.Array) -> jax.Array:
        # A negative index would count from the end; the scatter drops one beyond the end.
        index = jnp.where(index < 0, classes, index)
        return jnp.zeros(classes, weights.dtype).at[index].add(weights, mode="drop")

    hit = it.predicted == it.labels
    hits = summed(it.labels, jnp.where(hit | jnp.isnan(weights), weights, 0))
    predicted, true = summed(it.predicted, weights), summed(it.labels, weights)
    return Retrieval(hits, predicted, true, predicted + true, score, average)
