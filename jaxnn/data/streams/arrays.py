"""Read arrays on the host batch by batch, in the order of the same arrays on the device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.batches import epoch_order, size, steps_in
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.validate import check_layout

__all__ = ["ArrayStream", "checked_steps"]


class ArrayStream:
    """Read host arrays, such as memory maps, batch by batch.

    Attributes:
      arrays: pytree of arrays (n, …) that NumPy can index by rows.
      examples: n.
      steps_per_epoch: batches of an epoch; None: those that cover the arrays once.
    """

    def __init__(self, arrays: Any, steps_per_epoch: int | None = None) -> None:
        if not all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(arrays)):
            arrays = as_batch("arrays", arrays, pairs=False)  # lists and frames
        self.examples: int | None = check_layout("arrays", arrays)
        self.arrays = arrays
        self.steps_per_epoch = checked_steps(steps_per_epoch)

    def batches(
        self, key: jax.Array | None, epoch: int, batch_size: int, start: int = 0
    ) -> Iterator[Any]:
        """Yield the batches of an epoch; the last one of a pass may be smaller.

        Args:
          key: root key of the shuffle; None takes the rows in order.
          epoch: counted from 0.
          batch_size: rows of a batch.
          start: the first batch to yield, counted from 0.

        Returns:
          An iterator of NumPy batches.
        """
        if self.steps_per_epoch is None:
            yield from self._one_pass(key, epoch, batch_size, start)
            return
        # Epochs of a given length lie end to end over passes, each with a shuffle of its own.
        whole = steps_in(size(self.arrays), batch_size)
        done, within = divmod(epoch * self.steps_per_epoch + start, whole)
        passes = (
            self._one_pass(key, number, batch_size, within if number == done else 0)
            for number in count(done)
        )
        yield from islice(chain.from_iterable(passes), max(0, self.steps_per_epoch - start))

    def first(self, batch_size: int) -> Any:
        """Return the first batch of the rows in order; None where there is none."""
        return next(self._one_pass(None, 0, batch_size, 0), None)

    def _one_pass(
        self, key: jax.Array | None, number: int, batch_size: int, start: int
    ) -> Iterator[Any]:
        n = size(self.arrays)
        if key is None:
            order = np.arange(n)
        else:
            order = np.asarray(epoch_order(key, jnp.int32(number), n, batch_size))[:n]
        for index in range(start, steps_in(n, batch_size)):
            rows = order[index * batch_size : (index + 1) * batch_size]
            yield jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf[rows]), self.arrays)


def checked_steps(steps_per_epoch: Any) -> int | None:
    """Return the batches of an epoch as a Python int, or None; refuse other things."""
    if steps_per_epoch is None:
        return None
    return check_positive_int("steps_per_epoch", steps_per_epoch)
