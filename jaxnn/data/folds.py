"""k-fold cross-validation: every example is in exactly one of k validation parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.data.datasets import Data, from_parts
from jaxnn.data.host_permutation import random_order
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.split import class_numbers
from jaxnn.data.validate import check_batch
from jaxnn.keys import as_key

__all__ = ["k_fold_data", "k_fold_indices"]


def k_fold_indices(
    n: int, k: int, *, key: Any, labels: Any = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the indices 0 … n − 1 into train and val in k ways, each index in val once.

    The sizes of the k validation parts differ by at most 1. With `labels` that holds within
    every class too.

    Args:
      n: number of examples.
      k: number of folds, from 2 to n.
      key: typed key, raw key or integer seed; the draw is `stream(key, "k_fold")`.
      labels: (n,) classes to stratify by, numbers or strings; None splits without.

    Returns:
      k pairs of index arrays (train, val), each in shuffled order.

    Raises:
      ValueError: k out of range, labels of another shape, or a class of fewer than k
        examples, which some validation part would lack.

    >>> [(train.tolist(), val.tolist()) for train, val in k_fold_indices(5, 2, key=0)]
    [([2, 3], [1, 4, 0]), ([1, 4, 0], [2, 3])]

    Source: lecture L, cross validation; lecture C, hyper-parameter optimization.
    """
    n, k = check_positive_int("n", n), check_positive_int("k", k)
    if not 2 <= k <= n:
        raise ValueError(f"k must be from 2 to the number of examples, {n}, got {k}")
    class_of = np.zeros(n, int) if labels is None else class_numbers(labels, n)
    smallest = np.bincount(class_of).min()
    if smallest < k:
        raise ValueError(f"k must be at most the size of the smallest class, {smallest}, got {k}")
    order = random_order(as_key(key), "k_fold", n)
    # Folds are dealt class after class, like cards: in no class and not in the whole do the
    # sizes of two folds differ by more than 1.
    fold_of = np.empty(n, int)
    fold_of[np.argsort(class_of[order], kind="stable")] = np.arange(n) % k
    return [(order[fold_of != fold], order[fold_of == fold]) for fold in range(k)]


def k_fold_data(
    batch: Any,
    k: int,
    *,
    key: Any,
    stratify: bool = False,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> list[Data]:
    """Split a batch into k data sets of train and val; see `k_fold_indices` for indices.

    Args:
      batch: pytree of arrays (n, …), by default a dict of `x` and `y`, or a pair (x, y).
      k: number of folds, from 2 to n.
      key: typed key, raw key or integer seed of the folds.
      stratify: whether each class of `y` is spread over the folds evenly.
      preprocess: as in `from_arrays`, fitted on each fold's own training part.
      preprocess_y: as in `from_arrays`, fitted likewise.

    Returns:
      k `Data` with `train` and `val`.

    Raises:
      TypeError: a sparse matrix, or entries that are no numbers.
      ValueError: as `k_fold_indices`; lengths that differ, NaN or Inf; or `stratify` without `y`.

    >>> folds = k_fold_data({"x": np.eye(6), "y": np.arange(6)}, 3, key=0)
    >>> [(len(data.train["y"]), len(data.val["y"])) for data in folds]
    [(4, 2), (4, 2), (4, 2)]

    Source: lecture L, cross validation.
    """
    stratify = check_flag("stratify", stratify)
    is_pair = isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields")
    needs_names = stratify or preprocess is not None or preprocess_y is not None
    batch = as_batch("batch", batch, pairs=is_pair and needs_names)
    n = check_batch("batch", batch)
    if stratify and not (isinstance(batch, Mapping) and batch.get("y") is not None):
        raise ValueError("stratify=True needs a batch with y, the labels to stratify by")
    arrays = jax.tree.map(np.asarray, batch)
    folds = k_fold_indices(n, k, key=key, labels=arrays["y"] if stratify else None)
    return [
        from_parts(
            *(jax.tree.map(lambda leaf, rows=rows: leaf[rows], arrays) for rows in fold),
            preprocess=preprocess,
            preprocess_y=preprocess_y,
        )
        for fold in folds
    ]
