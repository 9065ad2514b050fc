"""How often a run is evaluated: every so many epochs, or every so many steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from jaxnn.arguments import check_positive_int
from jaxnn.train.loop.feed.batching import DataChunk

__all__ = ["Cadence", "cadence"]


class Cadence(NamedTuple):
    """How often the validation data is evaluated and the controllers act.

    Attributes:
      epochs: an epoch ends with an evaluation where this divides its number; None: no epoch does.
      steps: a step is followed by an evaluation where this divides the number of steps done by
        the run; None: no step is.
    """

    epochs: int | None = 1
    steps: int | None = None

    def at_end_of(self, epoch: int) -> bool:
        """Whether the epoch of this number, from 1, ends with an evaluation."""
        return self.epochs is not None and epoch % self.epochs == 0

    def cut(self, chunk: DataChunk, done: int) -> Iterator[tuple[DataChunk, bool]]:
        """Cut a chunk at the steps that an evaluation follows.

        Args:
          chunk: to be launched.
          done: steps of the run that were launched before it.

        Yields:
          Parts of the chunk in their order, and whether an evaluation follows each.

        >>> chunk = DataChunk(None, None, start=4, steps=7, examples=70, capacity=20)
        >>> for part, evaluates in Cadence(None, 5).cut(chunk, done=24):
        ...     print(part.start, part.steps, evaluates)
        4 1 True
        5 5 True
        10 1 False
        """
        start, end = 0, chunk.steps
        while start < end:
            count = end - start
            if self.steps is not None:
                count = min(count, self.steps - (done + start) % self.steps)
            ends_here = self.steps is not None and (done + start + count) % self.steps == 0
            yield chunk._replace(start=chunk.start + start, steps=count), ends_here
            start += count


def cadence(evaluate_every_epochs: Any, evaluate_every_steps: Any) -> Cadence:
    """Check both arguments of `fit`, of which one may be given.

    Raises:
      ValueError: both are given, or one is no positive integer.
    """
    if evaluate_every_steps is None:
        epochs = 1 if evaluate_every_epochs is None else evaluate_every_epochs
        return Cadence(check_positive_int("evaluate_every_epochs", epochs))
    if evaluate_every_epochs is not None:
        raise ValueError(
            "evaluate_every_epochs and evaluate_every_steps exclude each other, got "
            f"{evaluate_every_epochs} and {evaluate_every_steps}"
        )
    return Cadence(None, check_positive_int("evaluate_every_steps", evaluate_every_steps))
