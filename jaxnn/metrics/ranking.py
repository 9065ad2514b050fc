"""Metrics of ranked scores, which need all scores at once: ROC-AUC and average precision."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxnn.arguments import check_choice, check_positive_int, is_concrete
from jaxnn.losses.inputs import as_classes, as_real, check_same_shape
from jaxnn.losses.parts import wide
from jaxnn.metrics.direction import best_is
from jaxnn.metrics.sums import axes_of_examples, ratio, weight_of

__all__ = ["Ranking", "average_precision", "roc_auc"]

_MOST = 2**24  # up to which float32 counts


@best_is("max")
class Ranking(struct.PyTreeNode):
    """The accumulator of `roc_auc` and `average_precision`: the scores themselves.

    Only examples of a weight above 0 take a place, and free places have the weight 0, so they
    change no sum.
    """

    scores: jax.Array  # (capacity, outputs)
    positive: jax.Array  # (capacity, outputs) weight of a 1, else 0
    negative: jax.Array  # (capacity, outputs) weight of a 0, else 0
    count: jax.Array  # () places asked for, which may be more than there are
    score: str = struct.field(pytree_node=False)
    average: str | None = struct.field(pytree_node=False)

    def merge(self, other: Ranking) -> Ranking:
        """Put the examples of another part behind those of this one."""
        places = self.count.astype(jnp.int32) + jnp.arange(other.scores.shape[0])
        # Beyond the other's count there is nothing; beyond the capacity is dropped and counted.
        used = jnp.arange(other.scores.shape[0]) < other.count
        places = jnp.where(used, places, self.scores.shape[0])

        def placed(ours: jax.Array, theirs: jax.Array) -> jax.Array:
            return ours.at[places].set(theirs, mode="drop")

        return self.replace(
            scores=placed(self.scores, other.scores),
            positive=placed(self.positive, other.positive),
            negative=placed(self.negative, other.negative),
            count=self.count + other.count,
        )

    def result(self) -> jax.Array:
        """Return the score: a scalar, or one for each output where `average` is None.

        Raises:
          ValueError: concrete examples exceed the capacity; under `jit` the result is NaN.
        """
        capacity = self.scores.shape[0]
        if is_concrete(self.count) and self.count > capacity:
            raise ValueError(
                f"capacity must be at least the number of examples, {int(self.count)}, "
                f"got {capacity}"
            )
        scores = jax.vmap(_SCORES[self.score], in_axes=1)(self.scores, self.positive, self.negative)
        scores = jnp.where(self.count > capacity, jnp.nan, scores)
        return scores if self.average is None else scores.mean()


def _area(scores: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
    """The probability that a 1 is above a 0, where equals count half."""
    order, (positive, negative) = _ranked(scores, positive, negative)
    above = _up_to(order, positive, "left")
    with_equals = _up_to(order, positive, "right")
    won = jnp.sum(negative * (above + with_equals) / 2)
    # Divided one after the other, since the product of the two may overflow.
    return ratio((ratio((won, positive.sum())), negative.sum()))


def _average_precision(scores: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
    """The mean over 1s of the precision among the scores that are at least theirs."""
    order, (positive, negative) = _ranked(scores, positive, negative)
    hits, misses = (_up_to(order, part, "right") for part in (positive, negative))
    reached = hits + misses
    precision = hits / jnp.where(reached > 0, reached, 1)
    return ratio((jnp.sum(positive * precision), positive.sum()))


_SCORES = {"roc_auc": _area, "average_precision": _average_precision}


def _ranked(scores: jax.Array, *parts: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Sort by falling scores; NaN weights where a score that counts is not finite."""
    bad = ~jnp.isfinite(scores) & (sum(parts) != 0)
    order = jnp.argsort(-scores)
    return -scores[order], tuple(jnp.where(bad, jnp.nan, part)[order] for part in parts)


def _up_to(order: jax.Array, weight: jax.Array, side: str) -> jax.Array:
    """The weight of what is ranked before each score, or with its equals ("right")."""
    sums = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(weight)])
    return sums[jnp.searchsorted(order, order, side=side)]


@best_is("max")
def roc_auc(
    scores: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    capacity: int | None = None,
    average: str | None = "macro",
) -> Ranking:
    r"""Measure the area under the ROC curve, the probability that a 1 is scored above a 0.

    $$\mathrm{AUC} = \frac{\sum_{i \in +} \sum_{j \in -} w_i w_j
    \big( [s_i > s_j] + \tfrac12 [s_i = s_j] \big)}{\sum_{i \in +} w_i \sum_{j \in -} w_j}$$

    It is exact, without bins, so the accumulator keeps every score. In `fit` and `evaluate` it
    needs a place for each example of what is measured: `partial(roc_auc, capacity=2000)`. An
    epoch of training is measured too, and has the value NaN if it has more examples than that.

    Args:
      scores: (n, …), logits or probabilities of a 1, which give the same. With integer classes
        as targets: logits (…, classes), of which each class against the rest is an output, with
        its softmax probability as the score. A score that is not finite makes the result NaN.
      targets: of exactly the same shape, 0 or 1, where a 1 is above ½; or integer classes (…).
        One-hot targets are outputs of their own, ranked by the scores as they are.
      weight: (n,), or (n, tokens). Its axes are the axes of examples; the remaining axes of the
        targets are outputs. None: all 1, of shape (n,).
      capacity: how many examples of a weight above 0 the accumulator has places for; static.
        None: as many as there are in this call.
      average: "macro", the mean over outputs, or None, one for each output; static.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if 1s or 0s are missing, or if there were
      more examples than places (outside of `jit` that is an error).

    Raises:
      TypeError: what is no real number.
      ValueError: the shapes differ, a batch has more examples than `capacity`, or a setting is
        outside its range.

    >>> roc_auc(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])).result()
    Array(0.75, dtype=float32)

    Source: Hanley and McNeil 1982; common practice, no lecture teaches it. (As in scikit-learn.)
    """
    return _ranking("roc_auc", scores, targets, weight, capacity, average)


@best_is("max")
def average_precision(
    scores: jax.Array,
    targets: jax.Array,
    weight: jax.Array | None = None,
    *,
    capacity: int | None = None,
    average: str | None = "macro",
) -> Ranking:
    r"""Measure the average precision, the area under the precision-recall curve as steps.

    $$\mathrm{AP} = \sum_n (R_n - R_{n-1})\, P_n$$

    The sum runs over the distinct scores, from the highest. It is exact, without bins, so the
    accumulator keeps every score; see `roc_auc`.

    Args:
      scores: as in `roc_auc`.
      targets: as in `roc_auc`.
      weight: as in `roc_auc`.
      capacity: as in `roc_auc`.
      average: as in `roc_auc`.

    Returns:
      An accumulator; its result is in [0, 1], and NaN if 1s are missing, or if there were more
      examples than places (outside of `jit` that is an error).

    Raises:
      TypeError, ValueError: as in `roc_auc`.

    >>> average_precision(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])).result()
    Array(0.8333333, dtype=float32)

    Source: common practice; no lecture teaches it. (As in scikit-learn.)
    """
    return _ranking("average_precision", scores, targets, weight, capacity, average)


def _ranking(
    score: str, scores: Any, targets: Any, weight: Any, capacity: Any, average: Any
) -> Ranking:
    check_choice("average", average, ("macro", None))
    s, t = _of_each_class(as_real("scores", scores), as_real("targets", targets))
    w = weight_of(jnp.zeros(t.shape, s.dtype), weight)
    rows = math.prod(t.shape[: axes_of_examples("scores", t, weight)])
    s, t, w = (part.reshape(rows, -1) for part in (s, t, w))
    capacity = rows if capacity is None else check_positive_int("capacity", capacity)
    if not rows <= capacity <= _MOST:
        raise ValueError(
            f"capacity must be at least the {rows} examples of a batch and at most {_MOST}, "
            f"got {capacity}"
        )
    # A target that is not finite is neither 1 nor 0; its score is made to spoil the result.
    s = jnp.where(jnp.isfinite(wide(t)), s, jnp.nan)
    counts = (w > 0).any(1)
    first = jnp.argsort(~counts)  # stable: those that count come first, in their order

    def placed(part: jax.Array) -> jax.Array:
        kept = jnp.where(counts[:, None], part, 0)[first]
        return jnp.pad(kept, ((0, capacity - rows), (0, 0)))

    positive = t > 0.5
    return Ranking(
        scores=placed(s),
        positive=placed(jnp.where(positive, w, 0)),
        negative=placed(jnp.where(positive, 0, w)),
        count=counts.sum(dtype=s.dtype),
        score=score,
        average=average,
    )


def _of_each_class(scores: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return scores and targets of one shape; of integer classes each class against the rest."""
    s = wide(scores)
    integers = jnp.issubdtype(targets.dtype, jnp.integer)
    if not integers or not targets.ndim or targets.shape != scores.shape[:-1]:
        check_same_shape("scores", scores.shape, targets.shape)
        return s, targets
    classes = jax.lax.broadcasted_iota(jnp.int32, s.shape, s.ndim - 1)
    return jax.nn.softmax(s), as_classes(targets)[..., None] == classes
