"""Metrics of yes-or-no outputs: accuracy, precision, recall and F1 at a threshold."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.judged import judged_binary
from jaxnn.metrics.retrieval import AVERAGES, Retrieval
from jaxnn.metrics.sums import Pair, axes_of_examples, weighted

__all__ = ["binary_accuracy", "binary_f1", "binary_precision", "binary_recall"]


@best_is("max")
def binary_accuracy(
    logits: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    threshold: float | jax.Array = 0.5,
    probabilities: bool = False,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Pair:
    """Measure how often the prediction of a yes or no is right.

    A prediction is 1 if its probability is above the threshold, a target if it is above ½. Each
    output of an example counts. One that is not finite is counted wrong.

    Args:
      logits: (n, …), before the sigmoid; or probabilities, which `probabilities` says.
      targets: of exactly the same shape, 0 or 1, or probabilities.
      weight: as in `weighted`.
      threshold: a probability, in [0, 1]; a float or a traced scalar.
      probabilities: whether `logits` are behind the sigmoid already; static.
      where: bool, (n, …), or of its leading axes: which outputs count. None: all.
      ignore_index: an integer target, such as −1, whose outputs do not count; static. None:
        every target is a probability.

    Returns:
      The pair (weight of the correct outputs, weight of all).

    Raises:
      TypeError: what is no real number, or a flag that is none.
      ValueError: the shapes differ, or a concrete weight or setting is outside its range.

    >>> binary_accuracy(jnp.array([2.0, -1.0, 3.0]), jnp.array([1, 0, 0]))
    (Array(2., dtype=float32), Array(3., dtype=float32))
    """
    it = judged_binary(logits, targets, weight, threshold, probabilities, where, ignore_index)
    correct = it.finite & (it.predicted == it.true)
    return weighted(correct.astype(jnp.float32), it.weight)


@best_is("max")
def binary_precision(
    logits: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    threshold: float | jax.Array = 0.5,
    probabilities: bool = False,
    average: str | None = "macro",
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure which share of the predicted 1s are 1s.

    Args:
      logits: (n, …), before the sigmoid; or probabilities, which `probabilities` says. One that
        is not finite makes the result NaN.
      targets: of exactly the same shape, 0 or 1, or probabilities.
      weight: (n,), or (n, tokens). Its axes are the axes of examples; the remaining axes of the
        targets are outputs, of which each has its precision. None: all 1, of shape (n,).
      threshold: as in `binary_accuracy`.
      probabilities: as in `binary_accuracy`.
      average: "macro", the mean over outputs; "micro", that of all outputs together; or None,
        one for each output. They are the same for one output. Static.
      where: as in `binary_accuracy`.
      ignore_index: as in `binary_accuracy`.

    Returns:
      An accumulator; its result is in [0, 1]: 0 if no 1 was predicted, NaN if nothing was
      counted.

    Raises:
      TypeError, ValueError: as in `binary_accuracy`, or `average` is none of the three.

    >>> logits, targets = jnp.array([2.0, -1.0, 3.0]), jnp.array([1, 0, 0])
    >>> binary_precision(logits, targets).result()
    Array(0.5, dtype=float32)
    >>> binary_precision(logits, targets, threshold=0.9).result()
    Array(0., dtype=float32)

    Source: as `precision`.
    """
    outputs = (logits, targets, weight, threshold, probabilities, where, ignore_index)
    return _of_outputs("precision", average, *outputs)


@best_is("max")
def binary_recall(
    logits: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    threshold: float | jax.Array = 0.5,
    probabilities: bool = False,
    average: str | None = "macro",
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure which share of the 1s are predicted as 1s.

    Args:
      logits: as in `binary_precision`.
      targets: as in `binary_precision`.
      weight: as in `binary_precision`.
      threshold: as in `binary_accuracy`.
      probabilities: as in `binary_accuracy`.
      average: as in `binary_precision`.
      where: as in `binary_accuracy`.
      ignore_index: as in `binary_accuracy`.

    Returns:
      An accumulator; its result is in [0, 1]: 0 if there was no 1, NaN if nothing was counted.

    Raises:
      TypeError, ValueError: as in `binary_precision`.

    >>> binary_recall(jnp.array([2.0, -1.0, 3.0]), jnp.array([1, 1, 1])).result()
    Array(0.6666667, dtype=float32)

    Source: as `recall`.
    """
    outputs = (logits, targets, weight, threshold, probabilities, where, ignore_index)
    return _of_outputs("recall", average, *outputs)


@best_is("max")
def binary_f1(
    logits: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    threshold: float | jax.Array = 0.5,
    probabilities: bool = False,
    average: str | None = "macro",
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> Retrieval:
    r"""Measure F1 of the 1s, the harmonic mean of their precision and recall.

    Args:
      logits: as in `binary_precision`.
      targets: as in `binary_precision`.
      weight: as in `binary_precision`.
      threshold: as in `binary_accuracy`.
      probabilities: as in `binary_accuracy`.
      average: as in `binary_precision`.
      where: as in `binary_accuracy`.
      ignore_index: as in `binary_accuracy`.

    Returns:
      An accumulator; its result is in [0, 1]: 0 if no 1 was predicted rightly, NaN if nothing
      was counted.

    Raises:
      TypeError, ValueError: as in `binary_precision`.

    >>> binary_f1(jnp.array([2.0, -1.0, 3.0]), jnp.array([1, 0, 0])).result()
    Array(0.6666667, dtype=float32)

    Source: as `f1`.
    """
    outputs = (logits, targets, weight, threshold, probabilities, where, ignore_index)
    return _of_outputs("f1", average, *outputs)


def _of_outputs(
    score: str, average: Any, logits: Any, targets: Any, weight: Any, *settings: Any
) -> Retrieval:
    check_choice("average", average, AVERAGES)
    it = judged_binary(logits, targets, weight, *settings)
    outputs = it.true.shape[axes_of_examples("logits", it.true, weight) :]
    weights = it.poisoned

    def summed(counts: jax.Array | bool) -> jax.Array:
        return jnp.where(counts | jnp.isnan(weights), weights, 0).reshape(-1, *outputs).sum(0)

    counts = (it.predicted & it.true, it.predicted, it.true, True)
    hits, predicted, true, seen = map(summed, counts)
    return Retrieval(hits, predicted, true, seen, score, average)
