"""Read any iterable of batches, epoch by epoch or in epochs of a given length."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import jax

from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.streams.arrays import checked_steps
from jaxnn.data.validate import check_layout

__all__ = ["BatchStream"]

# Rows of one epoch of an iterable whose length nobody knows, which may well be endless.
_WARN_ROWS, _MOST_ROWS = 2_000_000, 10_000_000


class BatchStream:
    """Read any iterable of batches, iterated anew for each epoch.

    Attributes:
      examples: None, since their number is not known.
      steps_per_epoch: batches of an epoch, each of which goes on where the one before ended;
        None: an epoch is the whole iterable.
      once: whether the source is an iterator, which cannot start anew.
    """

    def __init__(
        self,
        source: Iterable[Any] | Callable[[], Iterable[Any]],
        steps_per_epoch: int | None = None,
    ) -> None:
        self.steps_per_epoch = checked_steps(steps_per_epoch)
        self.once = isinstance(source, Iterator)
        if self.once and self.steps_per_epoch is None:
            raise TypeError(
                "iterate needs an iterable that starts anew for each epoch, such as a list, a "
                "loader or a function that returns an iterator (or steps_per_epoch=, with which "
                f"an iterator goes on from epoch to epoch), got the iterator {source!r}"
            )
        one = isinstance(source, (str, bytes, Mapping)) or getattr(source, "ndim", 1) == 0
        if one or not (callable(source) or hasattr(source, "__iter__")):
            raise TypeError(f"iterate needs an iterable of batches, got {source!r}")
        self.examples: int | None = None
        self.source = source
        self._open: Iterator[Any] | None = None  # where an epoch of given length stands
        self._read = 0  # batches that were read of it

    def batches(
        self, key: jax.Array | None, epoch: int, batch_size: int, start: int = 0
    ) -> Iterator[Any]:
        """Yield the batches of an epoch as the source gives them, from number `start` on.

        Args:
          key: ignored; the source decides the order.
          epoch: counted from 0; ignored without `steps_per_epoch`.
          batch_size: the most rows that a batch may have.
          start: the first batch, counted from 0.

        Returns:
          An iterator of NumPy batches.

        Raises:
          ValueError: a batch of more rows; an iterator that ends, or would have to go back; more
            than 10 million rows, where neither `steps_per_epoch` nor a length is known.

        Warns:
          UserWarning: more than 2 million rows, likewise.
        """
        if self.steps_per_epoch is None:
            batches = islice(self._anew(), start, None)
            if not hasattr(self.source, "__len__"):
                batches = _bounded(batches)
        else:
            batches = self._going_on(epoch * self.steps_per_epoch, start)
        for number, batch in enumerate(batches, start):
            batch = as_batch(f"batch {number}", batch, pairs=False)
            rows = check_layout(f"batch {number}", batch)
            if rows > batch_size:
                raise ValueError(
                    f"batch_size must be at least the {rows} rows of batch {number}, "
                    f"got {batch_size}"
                )
            yield batch

    def first(self, batch_size: int) -> Any:
        """Return the first batch, which an iterator gives again; None where there is none."""
        if not self.once:
            return next(self.batches(None, 0, batch_size), None)
        iterator = iter(self.source)  # type: ignore[call-overload]  # it is one
        peeked = list(islice(iterator, 1))
        self.source = chain(peeked, iterator)
        if not peeked:
            return None
        batch = as_batch("batch 0", peeked[0], pairs=False)
        check_layout("batch 0", batch)
        return batch

    def _anew(self) -> Iterator[Any]:
        batches = self.source() if callable(self.source) else self.source
        if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
            raise TypeError(
                "data that is a function must return an iterable, each item of it a batch, got "
                f"{batches!r}"
            )
        return iter(batches)

    def _going_on(self, position: int, start: int) -> Iterator[Any]:
        """Yield the batches of an epoch that begins at a position of the whole stream."""
        assert self.steps_per_epoch is not None  # the caller asked
        if self._open is None or self._read > position + start:
            if self.once and self._read:
                raise ValueError(
                    f"an iterator cannot go back to batch {position + start}, and stands at batch "
                    f"{self._read}; give a function that returns an iterator"
                )
            self._open, self._read = self._anew(), 0
        for _ in range(self._read, position + start):
            self._next()
        for _ in range(start, self.steps_per_epoch):
            yield self._next()

    def _next(self) -> Any:
        """Read a batch; an iterable that has ended starts anew."""
        nothing = object()
        assert self._open is not None  # opened by the caller
        batch = next(self._open, nothing)
        if batch is nothing and not self.once:
            self._open = self._anew()
            batch = next(self._open, nothing)
        if batch is nothing:
            raise ValueError(
                f"the iterable ended after {self._read} batches, and epochs of "
                f"steps_per_epoch={self.steps_per_epoch} need more; give a function that returns "
                "an iterator, which starts anew"
            )
        self._read += 1
        return batch


def _bounded(batches: Iterator[Any]) -> Iterator[Any]:
    """Count the rows of an epoch; warn where they are many, and refuse where they have no end."""
    rows, warned = 0, False
    for batch in batches:
        yield batch
        leaf = next(iter(jax.tree.leaves(batch)), ())
        rows += len(leaf) if hasattr(leaf, "__len__") else 1
        if rows > _MOST_ROWS:
            raise ValueError(
                f"an epoch must end, and this one has given more than {_MOST_ROWS:,} rows; if the "
                "iterable has no end, or is as long as that, say with steps_per_epoch= how many "
                "batches are an epoch"
            )
        if rows > _WARN_ROWS and not warned:
            warned = True
            warnings.warn(
                f"an epoch has given more than {_WARN_ROWS:,} rows, and ends with an error at "
                f"{_MOST_ROWS:,}; steps_per_epoch= says how many batches are an epoch of an "
                "iterable that has no end",
                UserWarning,
                stacklevel=2,
            )
