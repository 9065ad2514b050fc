"""Data that stays on the host and reaches the device batch by batch during training.

A stream yields the batches of an epoch for a key, from any batch on, in the same order in which
the rows would be taken if the data were on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import epoch_order, size, steps_in
from jaxnn.data.validate import check_layout

__all__ = ["ArrayStream", "BatchStream", "Stream", "as_stream", "iterate", "stream"]


class ArrayStream:
    """Read host arrays, such as memory maps, batch by batch.

    Attributes:
      arrays: pytree of arrays (n, …) that NumPy can index by rows.
      examples: n.
    """

    def __init__(self, arrays: Any) -> None:
        self.examples: int | None = check_layout("stream", arrays)
        self.arrays = arrays

    def batches(
        self, key: jax.Array | None, epoch: int, batch_size: int, start: int = 0
    ) -> Iterator[Any]:
        """Yield the batches of an epoch; the last one may be smaller.

        Args:
          key: root key of the shuffle; None takes the rows in order.
          epoch: counted from 0.
          batch_size: rows of a batch.
          start: the first batch to yield, counted from 0.

        Returns:
          An iterator of NumPy batches.
        """
        n = size(self.arrays)
        if key is None:
            order = np.arange(n)
        else:
            order = np.asarray(epoch_order(key, jnp.int32(epoch), n, batch_size))[:n]
        for index in range(start, steps_in(n, batch_size)):
            rows = order[index * batch_size : (index + 1) * batch_size]
            yield jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf[rows]), self.arrays)


class BatchStream:
    """Read any iterable of batches, iterated anew for each epoch.

    Attributes:
      examples: None, since their number is not known.
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        if isinstance(source, Iterator):
            raise TypeError(
                "iterate needs an iterable that starts anew for each epoch, such as a list, a "
                f"loader or a function that returns an iterator, got the iterator {source!r}"
            )
        if not callable(source) and not hasattr(source, "__iter__"):
            raise TypeError(f"iterate needs an iterable of batches, got {source!r}")
        self.examples: int | None = None
        self._source = source

    def batches(
        self, key: jax.Array | None, epoch: int, batch_size: int, start: int = 0
    ) -> Iterator[Any]:
        """Yield the batches of an epoch as the source gives them, from number `start` on.

        Args:
          key, epoch: ignored; the source decides the order.
          batch_size: the most rows that a batch may have.
          start: the first batch, counted from 0.

        Returns:
          An iterator of NumPy batches.

        Raises:
          ValueError: a batch of more rows.
        """
        source = self._source() if callable(self._source) else self._source
        for number, batch in enumerate(islice(source, start, None), start):
            batch = jax.tree.map(np.asarray, batch)
            rows = check_layout(f"batch {number}", batch)
            if rows > batch_size:
                raise ValueError(
                    f"batch_size must be at least the {rows} rows of batch {number}, "
                    f"got {batch_size}"
                )
            yield batch


Stream = ArrayStream | BatchStream


def stream(arrays: Any) -> ArrayStream:
    """Keep arrays on the host, for data larger than the device's memory.

    The batches equal those of the same arrays on the device with the same key. While some steps
    run, the rows of the next ones are gathered and sent.

    Args:
      arrays: pytree of arrays (n, …), by default a dict of `x` and `y`; NumPy arrays or memory
        maps (`np.load(path, mmap_mode="r")`).

    Returns:
      Training or validation data for `jaxnn.fit`, alone or as a part of `Data`.

    Raises:
      TypeError, ValueError: leaves that are no arrays of numbers of one length.

    >>> data = stream({"x": np.arange(10.0)})
    >>> [batch["x"].tolist() for batch in data.batches(None, 0, batch_size=4, start=1)]
    [[4.0, 5.0, 6.0, 7.0], [8.0, 9.0]]
    """
    return ArrayStream(arrays)


def iterate(source: Iterable[Any] | Callable[[], Iterable[Any]]) -> BatchStream:
    """Use any iterable of batches as data, such as another library's loader.

    Args:
      source: iterable of batch pytrees (rows, …) of at most `batch_size` rows, or a function
        that returns such an iterator. It is iterated anew for each epoch, and does its own
        shuffling.

    Returns:
      Training or validation data for `jaxnn.fit`, alone or as a part of `Data`.

    Raises:
      TypeError: an iterator, which can be exhausted only once.

    >>> data = iterate([{"x": np.zeros((4, 2))}, {"x": np.zeros((3, 2))}])
    >>> [len(batch["x"]) for batch in data.batches(None, 0, batch_size=4)]
    [4, 3]
    """
    return BatchStream(source)


def as_stream(data: Any) -> Stream | None:
    """Return `data` as a stream where it is one or can only be one, else None.

    A loader of another library is an iterable that is no pytree of arrays.
    """
    if isinstance(data, Stream):
        return data
    if isinstance(data, Mapping) or hasattr(data, "shape") or jax.tree.leaves(data) != [data]:
        return None
    source: Any = data
    return iterate(source) if hasattr(data, "__iter__") or callable(data) else None
