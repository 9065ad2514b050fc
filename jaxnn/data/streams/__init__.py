"""Data that stays on the host and reaches the device batch by batch during training.

A stream yields the batches of an epoch for a key, from any batch on. Those of arrays come in the
order in which the rows would be taken if the data were on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax

from jaxnn.data.inputs.frames import is_frame
from jaxnn.data.streams.arrays import ArrayStream
from jaxnn.data.streams.batches import BatchStream

__all__ = ["ArrayStream", "BatchStream", "Stream", "as_stream", "iterate", "stream"]

Stream = ArrayStream | BatchStream


def stream(arrays: Any) -> ArrayStream:
    """Keep arrays on the host, for data larger than the device's memory.

    The batches equal those of the same arrays on the device with the same key. While some steps
    run, the rows of the next ones are gathered and sent.

    Args:
      arrays: pytree of arrays (n, …), by default a dict of `x` and `y`, or a pair (x, y); NumPy
        arrays or memory maps (`np.load(path, mmap_mode="r")`).

    Returns:
      Training or validation data for `jaxnn.fit`, alone or as a part of `Data`.

    Raises:
      TypeError, ValueError: leaves that are no arrays of numbers of one length.

    >>> import numpy as np
    >>> data = stream({"x": np.arange(10.0)})
    >>> [batch["x"].tolist() for batch in data.batches(None, 0, batch_size=4, start=1)]
    [[4.0, 5.0, 6.0, 7.0], [8.0, 9.0]]
    """
    return ArrayStream(arrays)


def iterate(
    source: Iterable[Any] | Callable[[], Iterable[Any]], *, steps_per_epoch: int | None = None
) -> BatchStream:
    """Use any iterable of batches as data, such as another library's loader.

    A batch is a pytree of arrays (rows, …), by default a dict of `x` and `y`, or a pair (x, y);
    also of tensors of another library.

    Args:
      source: iterable of batches of at most `batch_size` rows, or a function that returns such
        an iterator. It is iterated anew for each epoch, and does its own shuffling.
      steps_per_epoch: how many batches are an epoch, for a source without an end, or for epochs
        of another length. The next epoch goes on where the one before stood; a source that ends
        starts anew. An iterator is then taken too. As validation data, each evaluation reads
        the first so many. None: an epoch is the whole source, which is refused after 10 million
        rows where its length is not known.

    Returns:
      Training or validation data for `jaxnn.fit`, alone or as a part of `Data`.

    Raises:
      TypeError: what cannot be iterated, or, without `steps_per_epoch`, an iterator, which can be
        exhausted only once.

    >>> import numpy as np
    >>> data = iterate([{"x": np.zeros((4, 2))}, {"x": np.zeros((3, 2))}])
    >>> [len(batch["x"]) for batch in data.batches(None, 0, batch_size=4)]
    [4, 3]
    """
    return BatchStream(source, steps_per_epoch)


def as_stream(data: Any, steps_per_epoch: int | None = None) -> Stream | None:
    """Return `data` as a stream where it is one or can only be one, else None.

    A loader of another library is an iterable that is no pytree of arrays.

    Args:
      data: what a user gave.
      steps_per_epoch: batches of an epoch; None: as the stream says.
    """
    if isinstance(data, ArrayStream):
        return data if steps_per_epoch is None else ArrayStream(data.arrays, steps_per_epoch)
    if isinstance(data, BatchStream):
        return data if steps_per_epoch is None else BatchStream(data.source, steps_per_epoch)
    if isinstance(data, Iterator):
        return BatchStream(data, steps_per_epoch)
    if isinstance(data, Mapping) or hasattr(data, "shape") or jax.tree.leaves(data) != [data]:
        return None
    if is_frame(data) or isinstance(data, (str, bytes, int, float, complex)):
        return None
    source: Any = data
    iterable = hasattr(data, "__iter__") or callable(data)
    return BatchStream(source, steps_per_epoch) if iterable else None
