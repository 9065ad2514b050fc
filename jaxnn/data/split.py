"""Split examples into a training, a validation and a test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.host_permutation import random_order
from jaxnn.data.inputs.dense import as_dense
from jaxnn.keys import as_key

__all__ = ["check_fractions", "class_numbers", "split_indices"]

_SUM_TOLERANCE = 1e-9


def split_indices(
    n: int,
    *,
    key: Any,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    labels: Any = None,
) -> tuple[np.ndarray, ...]:
    """Split the indices 0 … n − 1 into disjoint random parts, one for each fraction.

    Sizes follow the largest-remainder method: every part has its exact share of `n`, rounded down
    or up. With `labels` that holds within every class, the first part has an example of each, and
    a part that one class rounds down has priority in the next, so that the totals stay close too.

    Args:
      n: number of examples.
      key: typed key, raw key or integer seed; the draw is `stream(key, "split")`.
      fractions: each above 0, together at most 1. If they sum to less, the rest is in no part.
      labels: (n,) classes to stratify by, numbers or strings; None splits without.

    Returns:
      One array of indices for each fraction, in shuffled order.

    Raises:
      ValueError: fractions out of range, labels of another shape, a part left empty, or a class
        of a single example.

    >>> [part.tolist() for part in split_indices(5, key=0)]
    [[3, 0, 2], [1], [4]]
    >>> even, odd = split_indices(8, key=0, fractions=(0.5, 0.5), labels=[0, 0, 0, 0, 1, 1, 1, 1])
    >>> int(sum(even < 4)), int(sum(odd < 4))
    (2, 2)

    Source: lecture C, hyper-parameter optimization (60/20/20); lecture L, training,
    validation and test sets.
    """
    n = check_positive_int("n", n)
    shares = _shares(check_fractions(fractions))
    class_of = np.zeros(n, int) if labels is None else class_numbers(labels, n)
    if labels is not None:
        _check_class_sizes(labels, class_of, min(2, len(fractions)))
    order = random_order(as_key(key), "split", n)

    by_class = np.argsort(class_of[order], kind="stable")
    part_of = np.empty(n, int)
    owed = np.zeros(len(shares))
    for places in np.split(by_class, np.cumsum(np.bincount(class_of))[:-1]):
        sizes = _sizes(len(places), shares, owed)
        owed += len(places) * shares - sizes
        part_of[places] = np.repeat(np.arange(len(shares)), sizes)

    parts = tuple(order[part_of == i] for i in range(len(fractions)))
    if not all(map(len, parts)):
        raise ValueError(
            f"fractions must leave no part empty, got {tuple(fractions)}, which gives parts "
            f"of {', '.join(str(len(part)) for part in parts)} from {n} examples"
        )
    return parts


def check_fractions(fractions: Any, most: int | None = None) -> np.ndarray:
    """Return fractions as float64; refuse what are no numbers above 0 that sum to at most 1.

    >>> check_fractions((0.8, 0.4))
    Traceback (most recent call last):
    ...
    ValueError: fractions must sum to at most 1, got (0.8, 0.4)
    """
    values = np.asarray(as_dense("fractions", fractions))
    is_list = values.dtype.kind in "iuf" and values.ndim == 1 and values.size > 0
    if not is_list or not np.all(values > 0):
        raise ValueError(f"fractions must be a list of numbers above 0, got {fractions!r}")
    if most is not None and len(values) > most:
        raise ValueError(
            f"fractions must be of train, val and test, at most {most}, got {fractions}"
        )
    values = values.astype(np.float64)
    if values.sum() > 1 + _SUM_TOLERANCE:
        raise ValueError(f"fractions must sum to at most 1, got {fractions}")
    return values


def _shares(fractions: np.ndarray) -> np.ndarray:
    """Return the fractions and, last, the rest; the rest is exactly 0 when they sum to 1."""
    rest = 1 - fractions.sum()
    shares = np.append(fractions, rest if rest > _SUM_TOLERANCE else 0.0)
    return shares / shares.sum()


def class_numbers(labels: Any, n: int) -> np.ndarray:
    """Number the classes of (n,) labels, numbers or strings, from 0; refuse other shapes."""
    labels = np.asarray(as_dense("labels", labels))
    if labels.shape != (n,):
        raise ValueError(f"labels must have shape ({n},), one for each example, got {labels.shape}")
    return np.unique(labels, return_inverse=True)[1]


def _check_class_sizes(labels: Any, class_of: np.ndarray, least: int) -> None:
    counts = np.bincount(class_of)
    if counts.min() < least:
        name = np.asarray(labels)[class_of == counts.argmin()][0].item()
        raise ValueError(
            f"labels must have at least {least} examples of each class, one in the first part and "
            f"one in another, got {counts.min()} of class {name!r}; join rare classes, or do not "
            "stratify"
        )


def _sizes(count: int, shares: np.ndarray, owed: np.ndarray) -> np.ndarray:
    """Round each share of `count` down or up, up first where most is owed so far."""
    # 0.29 * 100 is a little less than 29, and such noise must not count as a remainder.
    quotas = np.round(count * shares, 9)
    sizes = np.floor(quotas).astype(int)
    remainders = quotas - sizes
    # A share without a remainder is never rounded up, however much it is owed.
    claims = np.where(remainders > 0, np.round(owed + remainders, 9), -np.inf)
    if not sizes[0] and remainders[0] > 0:
        claims[0] = np.inf  # a class that is not trained on is never predicted
    winners = np.argsort(-claims, kind="stable")[: count - sizes.sum()]
    sizes[winners] += 1
    return sizes
