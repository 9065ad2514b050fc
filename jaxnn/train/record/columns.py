"""Arrays of several epochs as one flat column, whatever their shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["pack", "unpack"]


def pack(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Join arrays of one rank and dtype, such as a series whose length differs between epochs.

    Args:
      arrays: at least one.

    Returns:
      Their elements, (elements,), and their shapes, (arrays, rank) int64.

    >>> pack([np.array([1.0, 2.0]), np.array([3.0])])
    (array([1., 2., 3.]), array([[2],
           [1]]))
    """
    shapes = np.array([array.shape for array in arrays], np.int64)
    return np.concatenate([array.ravel() for array in arrays]), shapes


def unpack(flat: np.ndarray, shapes: np.ndarray) -> list[np.ndarray]:
    """The arrays that `pack` joined.

    Raises:
      ValueError: the shapes are not those of as many elements.

    >>> unpack(np.array([1.0, 2.0, 3.0]), np.array([[2], [1]]))
    [array([1., 2.]), array([3.])]
    """
    if flat.ndim != 1 or shapes.ndim != 2 or shapes.dtype != np.int64 or (shapes < 0).any():
        raise ValueError(f"{flat.dtype}{flat.shape} is no column of shapes {shapes.tolist()}")
    sizes = [int(np.prod(shape, dtype=object)) for shape in shapes]  # exact, however large
    if sum(sizes) != flat.size:
        raise ValueError(f"the shapes are of {sum(sizes)} elements, and there are {flat.size}")
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
