"""The inputs as tables of features, with the moments of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.tree import path_name

__all__ = ["Features", "common_features", "features_of", "whole_inputs"]


@dataclass(frozen=True, eq=False)
class Features:
    """One array of the inputs, an example a row and a feature a column."""

    path: str  # "x", or "x/pixels" where there are several arrays
    values: np.ndarray  # (n, features) float64
    shape: tuple[int, ...]  # of one example

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean of each feature."""
        return self.values.mean(0)

    @cached_property
    def deviation(self) -> np.ndarray:
        """The deviation of each feature, ÷n."""
        return self.values.std(0)

    @cached_property
    def varies(self) -> np.ndarray:
        """Whether a feature has two values."""
        return (self.values != self.values[:1]).any(0)

    @cached_property
    def spread(self) -> np.ndarray:
        """Whether a feature has no value that nearly all examples share."""
        ordered = np.sort(self.values, axis=0)
        n = len(ordered)
        # A value that covers a share of the rows also covers two rows that far apart in order.
        apart = int(thresholds.COMMON_VALUE * n)
        if apart == 0:
            return self.varies
        return ~(ordered[apart:] == ordered[: n - apart]).any(0)

    def name(self, column: int) -> str:
        """Name a feature, such as "x[3]"."""
        place = np.unravel_index(int(column), self.shape) if self.shape else ()
        return f"{self.path}[{', '.join(map(str, map(int, place)))}]"

    def names(self, columns: np.ndarray) -> str:
        """Name the first few of some features."""
        listed = ", ".join(self.name(column) for column in columns[:3])
        return listed + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")


def features_of(subject: Subject, part: str = "train") -> list[Features]:
    """Return the arrays of measurements among the inputs of a part.

    Signed integers are left out, since they may be tokens.

    Raises:
      NotJudged: there are none.
    """
    subject.train  # noqa: B018  refuses data that cannot be trained on
    tables = []
    for path, leaf in whole_inputs(subject.parts[part]):
        signed = jnp.issubdtype(leaf.dtype, jnp.signedinteger)
        if signed or jnp.issubdtype(leaf.dtype, jnp.complexfloating) or leaf.ndim < 2:
            continue
        n, width = len(leaf), int(np.prod(leaf.shape[1:]))
        if width == 0:
            continue
        every = max(1, -(-n * width // thresholds.NUMBERS))
        values = leaf[::every].reshape(-1, width).astype(np.float64)
        tables.append(Features(path, values, leaf.shape[1:]))
    if not tables:
        raise NotJudged("the inputs hold no array (n, …) of measurements; integers may be tokens")
    return tables


def common_features(subject: Subject, part: str) -> list[tuple[Features, Features]]:
    """Pair the arrays of measurements of the training part with those of another part."""
    return list(zip(features_of(subject), features_of(subject, part), strict=True))


def whole_inputs(batch: Any) -> list[tuple[str, np.ndarray]]:
    """List the arrays of the inputs with their paths."""
    if isinstance(batch, Mapping):
        batch = {name: leaf for name, leaf in batch.items() if name not in ("y", "weight")}
    leaves = jax.tree_util.tree_leaves_with_path(batch)
    return [(path_name(path) or "inputs", np.asarray(leaf)) for path, leaf in leaves]
