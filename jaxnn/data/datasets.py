"""Make data sets from a user's own arrays, and load the digits that come with jaxnn."""

from __future__ import annotations

import dataclasses
import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_flag, check_positive_int, check_sequence, check_text
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.inputs.dense import as_dense
from jaxnn.data.inputs.frames import column_names, is_frame
from jaxnn.data.inputs.summary import summary
from jaxnn.data.preprocess.methods import Method, State, check_state
from jaxnn.data.preprocess.parts import preprocessed
from jaxnn.data.shapes import check_part
from jaxnn.data.split import check_fractions, split_indices
from jaxnn.data.streams import as_stream
from jaxnn.data.validate import check_batch

__all__ = ["Data", "digits", "from_arrays", "from_parts", "read_digits"]


@dataclass(frozen=True, eq=False)
class Data:
    """Hold the training, validation and test parts of a data set.

    Each part is a batch: a pytree of arrays with a common leading axis, by default a dict
    of `x`, `y` and optionally `weight`, or a pair (x, y). They may be host arrays, which the
    training loop moves to the device, or streams.

    Fields:
      train: the examples to train on.
      val: the examples by which hyper-parameters and the best epoch are chosen, or None.
      test: the examples on which generalization is estimated, once, or None.
      preprocess: the state of the preprocessing, fitted on the training part and applied to all
        parts, or None. `jaxnn.data.apply(data.preprocess, x)` applies it to new inputs.
      classes: the names of the classes that `y` numbers, where they have any.
      preprocess_y: the state of the scaling of `y`, fitted on the training part and applied to
        all parts, or None. `jaxnn.data.invert(data.preprocess_y, outputs)` gives predictions in
        the units of the raw targets.
      columns: the names of the columns of `x`, where they have any.

    Raises:
      TypeError: a part that is neither a batch nor an iterable of batches; preprocessing that no
        `fit_…` of `jaxnn.data` returns; names that are no texts. (`jaxnn.fit` checks the arrays.)

    >>> data = Data(train={"x": np.zeros((130, 3))})
    >>> data.steps_per_epoch(64)
    3
    >>> data
    Data(train: x float64 (130, 3))
    """

    train: Any
    val: Any = None
    test: Any = None
    preprocess: State | None = None
    classes: tuple[str, ...] | None = None
    preprocess_y: State | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_part("train", self.train)
        for name in ("val", "test"):
            if getattr(self, name) is not None:
                check_part(name, getattr(self, name))
        for name in ("preprocess", "preprocess_y"):
            if getattr(self, name) is not None:
                check_state(getattr(self, name), name)
        for name in ("classes", "columns"):
            if getattr(self, name) is not None:
                for text in check_sequence(name, getattr(self, name)):
                    check_text(name, text)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Count the mini-batches that cover `train` once; the last one may be smaller.

        Raises:
          ValueError: an iterable of batches, which nobody has counted.
        """
        batch_size = check_positive_int("batch_size", batch_size)
        source = as_stream(self.train)
        if source is None:
            examples = len(jax.tree.leaves(as_batch("train", self.train, pairs=False))[0])
        elif source.examples is not None:
            examples = source.examples
        else:
            raise ValueError(
                "steps_per_epoch counts arrays and jaxnn.data.stream, and train is an iterable of "
                "batches, which nobody has counted"
            )
        return -(-examples // batch_size)

    def __repr__(self) -> str:
        return summary(self)


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    key: Any,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> Data:
    """Split a user's own arrays at random into train, val and test.

    Args:
      x: (n, …) inputs, or a dict of several arrays of length n, or a frame of numbers, whose
        names are kept in `Data.columns`; `from_frame` also takes categories and missing cells.
      y: (n, …) targets; None gives batches of `x` alone.
      key: typed key, raw key or integer seed of the split.
      fractions: of train, then val, then test, at most 1 together; fewer than three
        leave the later parts None.
      stratify: whether each class of `y` is split by the same fractions.
      preprocess: how `x`, then one array, is transformed, as fitted on the training part:
        "standardize", "mean_image", "channel_mean", "channel_standardize", "min_max", "robust",
        "pca", "whiten", "zca" name the function `fit_…`; a function takes the training inputs
        and returns the state of one of them, such as `partial(fit_pca, n_components=50)`.
        None leaves `x` unchanged.
      preprocess_y: the same for `y`, for targets of a regression, such as "standardize".

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
    check_fractions(fractions, most=3)
    if check_flag("stratify", stratify) and y is None:
        raise ValueError("stratify=True needs y, the labels to stratify by, got None")
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
    return dataclasses.replace(
        from_parts(*parts, preprocess=preprocess, preprocess_y=preprocess_y),
        columns=column_names("x", x) if is_frame(x) else None,
    )


def _host(name: str, values: Any) -> np.ndarray:
    return np.asarray(as_dense(name, values))


def from_parts(
    train: Any,
    val: Any = None,
    test: Any = None,
    *,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> Data:
    """Make a data set of given parts, with preprocessing fitted on `train`.

    Args:
      train: batch, with `preprocess` a dict in which `x` is one array, or a pair (x, y).
      val: batch of the same layout, or None.
      test: batch of the same layout, or None.
      preprocess: as in `from_arrays`.
      preprocess_y: as in `from_arrays`.

    Returns:
      The parts.

    Raises:
      TypeError: a sparse matrix, entries that are no numbers, or a part that is no batch.
      ValueError: an unknown `preprocess`, or one without one array `x` or `y` to fit it on.

    >>> data = from_parts({"x": np.array([[1.0], [3.0]])}, preprocess="standardize")
    >>> data.train["x"]
    array([[-1.],
           [ 1.]])
    """
    parts, states = [train, val, test], {}
    for argument, entry, method in (
        ("preprocess", "x", preprocess),
        ("preprocess_y", "y", preprocess_y),
    ):
        if method is not None:
            parts, states[argument] = preprocessed(parts, argument, entry, method)
    return Data(*parts, **states)


def digits(*, key: Any, preprocess: Method | None = "standardize") -> Data:
    """Load 1,797 handwritten digits of 8×8 pixels in ten classes, split 60/20/20 by class.

    Args:
      key: typed key, raw key or integer seed of the split.
      preprocess: as in `from_arrays`, by default mean 0 and deviation 1 for each pixel; with
        None the values are 0 to 16.

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
        preprocess=preprocess,
    )


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read the digits as stored: images (1797, 8, 8) from 0 to 16, labels (1797,), both uint8.

    >>> images, labels = read_digits()
    >>> images[0, 2], labels[:3]
    (array([ 0,  3, 15,  2,  0, 11,  8,  0], dtype=uint8), array([0, 1, 2], dtype=uint8))
    """
    resource = importlib.resources.files("jaxnn.data") / "digits.npz"
    with resource.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]
