"""The parts of a data set, from a user's own arrays or from the digits that come along."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.preprocess import Standardization, fit_standardize, standardize
from jaxnn.data.split import split_indices
from jaxnn.data.validate import as_dense, check_batch

__all__ = ["Data", "digits", "from_arrays", "read_digits"]


@dataclass(frozen=True, eq=False)
class Data:
    """What a run trains on, chooses by, and is judged by in the end.

    Each part is a batch: a pytree of arrays with a common leading axis, by default a dict
    of `x`, `y` and optionally `weight`. Host arrays are fine; the training loop moves them.

    Fields:
      train: the examples to train on.
      val: the examples to choose hyper-parameters and the best epoch by, or None.
      test: the examples to estimate generalization on, once, or None.
      preprocess: what was fitted on the training part and applied to all, or None.

    >>> Data(train={"x": np.zeros((130, 3))}).steps_per_epoch(64)
    3
    """

    train: Any
    val: Any = None
    test: Any = None
    preprocess: Standardization | None = None

    def steps_per_epoch(self, batch_size: int) -> int:
        """The number of mini-batches that cover `train` once, the last one maybe smaller."""
        examples = len(jax.tree.leaves(self.train)[0])
        return -(-examples // check_positive_int("batch_size", batch_size))


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    key: Any,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    standardize: bool = False,
) -> Data:
    """A user's own arrays, split at random into train, val and test.

    Args:
      x: (n, …) inputs, or a dict of several arrays of length n.
      y: (n, …) targets; None gives batches of `x` alone.
      key: typed key, raw key or integer seed of the split.
      fractions: of train, then val, then test, at most 1 together; fewer than three
        leave the later parts None.
      stratify: whether each class of `y` is split by the same fractions.
      standardize: whether each feature of `x`, then one array, gets mean 0 and
        deviation 1, as measured on the training part.

    Returns:
      The parts, each a dict of `x` and, where given, `y`.

    Raises:
      TypeError: a sparse matrix, or entries that are no numbers.
      ValueError: lengths that differ, NaN or Inf, more than three fractions, a part left
        empty, or `stratify` without labels of shape (n,).

    >>> data = from_arrays(np.eye(10), np.arange(10), key=0)
    >>> data.train["x"].shape, data.val["y"].shape, data.test["y"].shape
    ((6, 10), (2,), (2,))

    Source: lecture C, hyper-parameter optimization; lecture L, training, validation and
    test sets.
    """
    if not 1 <= len(fractions) <= 3:
        raise ValueError(f"fractions must be of train, val and test, at most 3, got {fractions}")
    if stratify and y is None:
        raise ValueError("stratify=True needs y, the labels to stratify by, got None")
    if standardize and isinstance(x, Mapping):
        raise ValueError(
            f"standardize=True needs x to be one array, got a dict of {', '.join(x)}; use "
            "fit_standardize and standardize on the entries that need it"
        )
    if isinstance(x, Mapping):
        batch: dict[str, Any] = {"x": {name: _host(name, leaf) for name, leaf in x.items()}}
    else:
        batch = {"x": _host("x", x)}
    if y is not None:
        batch["y"] = _host("y", y)
    n = check_batch("from_arrays", batch)
    labels = batch["y"] if stratify else None
    parts = [
        jax.tree.map(lambda leaf, indices=indices: leaf[indices], batch)
        for indices in split_indices(n, key=key, fractions=fractions, labels=labels)
    ]
    return _standardized(parts) if standardize else Data(*parts)


def _host(name: str, values: Any) -> np.ndarray:
    return np.asarray(as_dense(name, values))


def _standardized(parts: list[Any]) -> Data:
    state = fit_standardize(parts[0]["x"])
    scaled = [part | {"x": standardize(state, part["x"])} for part in parts]
    return Data(*scaled, preprocess=state)


def digits(*, key: Any, standardize: bool = True) -> Data:
    """1,797 handwritten digits of 8×8 pixels in ten classes, split 60/20/20 by class.

    Args:
      key: typed key, raw key or integer seed of the split.
      standardize: whether each pixel gets mean 0 and deviation 1, as measured on the
        training part; otherwise the values are 0 to 16.

    Returns:
      Parts of `x`, (n, 64) float32, and `y`, (n,) int32 from 0 to 9.

    >>> data = digits(key=0)
    >>> data.train["x"].shape, data.val["x"].shape, data.test["x"].shape
    ((1078, 64), (360, 64), (359, 64))

    Source: "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, UCI
    Machine Learning Repository, CC BY 4.0; the copy that scikit-learn ships.
    """
    images, labels = read_digits()
    return from_arrays(
        images.reshape(-1, 64).astype(np.float32),
        labels.astype(np.int32),
        key=key,
        stratify=True,
        standardize=standardize,
    )


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits as stored: images (1797, 8, 8) uint8 from 0 to 16, labels (1797,) uint8.

    >>> images, labels = read_digits()
    >>> images[0, 2], labels[:3]
    (array([ 0,  3, 15,  2,  0, 11,  8,  0], dtype=uint8), array([0, 1, 2], dtype=uint8))
    """
    resource = importlib.resources.files("jaxnn.data") / "digits.npz"
    with resource.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]
