"""Where the batches of a run come from: a source hands over chunks of data, and starts nothing.

`OnDevice` holds arrays that fit on the device, and an epoch is an order of their rows.
`Streamed` takes batches from the host, and sends a few steps' worth while those before are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxnn.data.batches import epoch_order, size, steps_in
from jaxnn.data.streams import Stream
from jaxnn.train.devices.compilation import quickly
from jaxnn.train.devices.placement import Placement, send
from jaxnn.train.loop.feed.ahead import ahead
from jaxnn.train.loop.feed.batching import DataChunk, in_chunks, own_copy

__all__ = ["OnDevice", "Source", "Streamed"]

_order = jax.jit(epoch_order, static_argnums=(2, 3))


class OnDevice:
    """Arrays that fit on the device; several devices hold all of them each.

    Args:
      data: pytree of arrays (n, …).
      placement: of the run on several devices, or None.
      batch_size: rows of a training batch.
      ragged_apart: whether a ragged last batch is handed over in a shape of its own.
    """

    def __init__(
        self, data: Any, placement: Placement | None, batch_size: int, ragged_apart: bool
    ) -> None:
        self.own_orders = False  # whether members order the rows, so that an order is the epoch
        self.data = send(own_copy(data), placement)
        self.examples = size(data)
        self._batch_size, self._ragged_apart = batch_size, ragged_apart

    def chunks(self, key: jax.Array, epoch: int, steps: int | None) -> Iterator[DataChunk]:
        """The chunks of an epoch, counted from 0, of at most `steps` steps each; None: one."""
        rows = self._batch_size
        order: Any = np.int32(epoch)
        if not self.own_orders:
            order = quickly(_order, (2, 3))(key, order, self.examples, rows)
        ragged = self.examples % rows if self._ragged_apart else 0
        whole = steps_in(self.examples - ragged, rows)
        capacity = steps_in(self.examples, rows)
        every = steps or max(whole, 1)
        for start in range(0, whole, every):
            count = min(every, whole - start)
            yield DataChunk(self.data, order, start, count, self.examples, capacity)
        if ragged:
            last = order if self.own_orders else order[whole * rows :][:ragged]
            yield DataChunk(self.data, last, whole, 1, self.examples, capacity, ragged=True)

    def evaluation(self) -> Any:
        """The data itself, which the end of an epoch evaluates in one program."""
        return self.data


class Streamed:
    """Batches from the host.

    Args:
      stream: gives the batches.
      check: refuses a batch that does not fit, and returns it as it is trained on; called with
        a name and the batch.
      placement: of the run on several devices, or None.
      batch_size: rows of a batch.
      ragged_apart: whether a smaller batch is handed over in a shape of its own.
    """

    def __init__(
        self,
        stream: Stream,
        check: Callable[[str, Any], Any],
        placement: Placement | None,
        batch_size: int,
        ragged_apart: bool,
    ) -> None:
        self.examples = stream.examples or 0  # of an iterable, those of the last epoch
        self._stream, self._check, self._placement = stream, check, placement
        self._batch_size, self._ragged_apart = batch_size, ragged_apart

    def chunks(self, key: jax.Array, epoch: int, steps: int | None) -> Iterator[DataChunk]:
        """The chunks of an epoch, counted from 0, of `steps` steps; None: some megabytes."""
        rows, examples = self._batch_size, 0
        batches = self._checked(self._stream.batches(key, epoch, rows), f"epoch {epoch + 1}")
        chunks = in_chunks(batches, rows, steps, self._ragged_apart, fill=True)
        for chunk in ahead(chunks, self._placement):
            examples += chunk.examples
            yield chunk
        if not examples:
            raise ValueError(f"the training data gave no batch in epoch {epoch + 1}")
        self.examples = examples

    def evaluation(self) -> Iterator[DataChunk]:
        """The chunks of the whole stream, in its own order."""
        batches = self._checked(self._stream.batches(None, 0, self._batch_size), "validation")
        none = True
        for chunk in ahead(
            in_chunks(batches, self._batch_size, None, False, fill=False), self._placement
        ):
            none = False
            yield chunk
        if none:
            raise ValueError("the validation data gave no batch")

    def _checked(self, batches: Iterator[Any], name: str) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            yield self._check(f"{name}, batch {number}", batch)


Source = OnDevice | Streamed
