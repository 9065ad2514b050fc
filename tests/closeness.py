"""How near two trees of arrays are, in the ways that mean something."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def distance(a: Any, b: Any) -> float:
    """‖a − b‖/‖b‖, in float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    assert np.isfinite(b).all(), "the expected values are not finite"
    difference, size = np.linalg.norm(a - b), np.linalg.norm(b)
    return float(difference / size) if difference else 0.0


def assert_leaves_close(actual: Any, expected: Any, tolerance: float) -> None:
    """Each leaf by its `distance`: one element near zero may be far off and mean nothing."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    assert jax.tree.leaves(expected), "nothing was compared"
    leaves = zip(
        jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    )
    for (path, a), b in leaves:
        assert distance(a, b) <= tolerance, jax.tree_util.keystr(path)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Equal structure, dtypes and bytes."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert a.tobytes() == b.tobytes()


def ulps(a: Any, b: Any) -> np.ndarray:
    """How many numbers of their 16-bit format lie between the elements of a and b."""
    ordered = []
    for values in (np.asarray(a), np.asarray(b)):
        bits = values.view(np.int16).astype(np.int32)
        # Sign and magnitude as one scale: the next number up is always one more.
        ordered.append(np.where(bits < 0, -(bits & 0x7FFF), bits))
    assert np.asarray(a).dtype == np.asarray(b).dtype
    return np.abs(ordered[0] - ordered[1])
