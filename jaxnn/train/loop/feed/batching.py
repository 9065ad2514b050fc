"""Host batches, joined into chunks of several steps and filled up to one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnn.data.batches import size

__all__ = ["DataChunk", "in_chunks", "own_copy"]

_CHUNK_BYTES = 32 * 2**20  # of streamed data sent at once, where the user does not say


class DataChunk(NamedTuple):
    """The data of some steps in a row.

    Attributes:
      data: pytree of arrays (n, …).
      order: (at least steps · batch_size,) int32, rows of the data in the order of training;
        of a ragged batch just its rows.
      start: number of the first step in the order; 0 begins the series of the steps anew.
      steps: how many there are.
      examples: rows of the data that are no padding.
      capacity: steps that the series must have room for.
      ragged: whether this is one batch in a shape of its own.
    """

    data: Any
    order: Any
    start: int
    steps: int
    examples: int
    capacity: int
    ragged: bool = False


def in_chunks(
    batches: Iterator[Any], batch_size: int, steps: int | None, ragged_apart: bool, *, fill: bool
) -> Iterator[DataChunk]:
    """Batches in groups of `steps`, padded with rows of weight 0.

    Args:
      batches: host batches of at most `batch_size` rows.
      batch_size: rows that each is padded to.
      steps: of a group; None: what makes up some megabytes.
      ragged_apart: whether a smaller batch is handed over alone and as it is.
      fill: whether the last group is filled up to the size of the others.
    """
    group: list[Any] = []
    for batch in batches:
        if steps is None:
            row_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(batch)) / size(batch)
            steps = int(np.clip(_CHUNK_BYTES / (row_bytes * batch_size), 1, 64))
        if ragged_apart and size(batch) < batch_size:
            if group:
                yield _joined(group, batch_size, steps if fill else len(group))
                group = []
            yield _chunk(own_copy(batch), 1, size(batch), steps, ragged=True)
            continue
        group.append(batch)
        if len(group) == steps:
            yield _joined(group, batch_size, steps)
            group = []
    if group:
        assert steps is not None  # set with the first batch
        yield _joined(group, batch_size, steps if fill else len(group))


def _joined(group: list[Any], batch_size: int, capacity: int) -> DataChunk:
    examples = sum(map(size, group))
    padded = [_padded(batch, batch_size) for batch in group]
    empty = [jax.tree.map(np.zeros_like, padded[0])] * (capacity - len(group))
    data = jax.tree.map(lambda *leaves: np.concatenate(leaves), *padded, *empty)
    return _chunk(data, len(group), examples, capacity)


def _padded(batch: Any, batch_size: int) -> Any:
    """A batch with as many rows as it lacks, of weight 0."""
    rows = size(batch)
    if not isinstance(batch, Mapping):
        if rows != batch_size:
            raise ValueError(
                f"every batch must have {batch_size} rows, since one that is no dict has no place "
                f"for the weights of padding, got {rows}"
            )
        return batch
    weight = batch.get("weight")
    batch = {**batch, "weight": np.ones(rows, np.float32) if weight is None else weight}
    missing = batch_size - rows
    return jax.tree.map(
        lambda leaf: np.pad(leaf, ((0, missing),) + ((0, 0),) * (leaf.ndim - 1)), batch
    )


def _chunk(data: Any, steps: int, examples: int, capacity: int, ragged: bool = False) -> DataChunk:
    order = np.arange(size(data), dtype=np.int32)
    return DataChunk(data, order, 0, steps, examples, capacity, ragged)


def own_copy(data: Any) -> Any:
    """Copy NumPy arrays: JAX uses their memory on CPU, and the user may write to it."""
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, data)
