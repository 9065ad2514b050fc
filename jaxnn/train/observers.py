"""Observers: host-side functions that are told what a run measures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from jaxnn.arguments import check_flag, check_sequence
from jaxnn.train.record.records import ChunkRecord, EpochRecord
from jaxnn.train.run import Run

__all__ = [
    "Observer",
    "as_observer",
    "chunk_listener",
    "in_notebook",
    "shows_by_default",
    "with_progress",
]


class Observer:
    """Sees a run from the host; each method does nothing unless overridden.

    It is told before the first step, after each compiled chunk and each epoch, and at the end,
    which comes also after Ctrl-C or an error. `run.history` and `run.state` are those of the
    last epoch that was told.

    Attributes:
      reads_state: whether it looks at `run.state`. An observer that does not spares the run a
        copy of its state in each epoch by setting this to False.
      shows_progress: whether it shows each epoch to a person who waits. Where an observer does,
        `fit` shows no progress of its own.
    """

    reads_state: bool = True
    shows_progress: bool = False

    def on_start(self, run: Run) -> None:
        """Called before the first step; `run.history` holds the epochs before a resumption."""

    def on_chunk(self, record: ChunkRecord) -> None:
        """Called with what the steps of a chunk measured, when the next chunk is under way.

        `fit(steps_per_call=…)` sets how many steps a chunk has.
        """

    def on_epoch(self, record: EpochRecord) -> None:
        """Called after each epoch."""

    def on_end(self, run: Run) -> None:
        """Called after the last epoch, whatever ended the run."""


def as_observer(observer: Any) -> Observer:
    """Take an observer as it is, and a plain function as one that is called after each epoch.

    Raises:
      TypeError: neither of the two.
    """
    if all(hasattr(observer, name) for name in ("on_start", "on_epoch", "on_end")):
        return observer
    if not callable(observer):
        raise TypeError(f"observers must be Observers or functions of a record, got {observer!r}")
    return _FunctionObserver(observer)


def with_progress(observers: Sequence[Any], progress: bool | None) -> list[Observer]:
    """The observers, and one that shows progress where that is asked for.

    Args:
      observers: see `as_observer`.
      progress: True: it is asked for; False: it is not. None: in a notebook it is, unless one of
        the observers shows it already.

    Raises:
      TypeError: an argument of another type.
    """
    watching = [as_observer(each) for each in check_sequence("observers", observers)]
    if progress is None:
        shown = any(getattr(observer, "shows_progress", False) for observer in watching)
        asked = in_notebook() and not shown
    else:
        asked = check_flag("progress", progress)
    return [*watching, *(make() for make in _DISPLAYS)] if asked else watching


_DISPLAYS: list[Callable[[], Observer]] = []


def shows_by_default(make: Callable[[], Observer]) -> None:
    """Set what `fit` shows progress with.

    It is made in `jaxnn.report`, a layer above this one, which therefore has to name it here.
    """
    _DISPLAYS[:] = [make]


def in_notebook() -> bool:
    """Whether this runs in a notebook, Colab's among them, and not in a terminal or a script."""
    ipython = sys.modules.get("IPython")  # what has not been imported does not run this
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def chunk_listener(observers: Sequence[Any]) -> Callable[[ChunkRecord], None] | None:
    """A function that tells all who want to know of each chunk; None where nobody does."""
    unset = Observer.on_chunk
    listening = [
        observer.on_chunk
        for observer in observers
        if getattr(type(observer), "on_chunk", unset) is not unset
    ]
    if not listening:
        return None

    def tell(record: ChunkRecord) -> None:
        for on_chunk in listening:
            on_chunk(record)

    return tell


class _FunctionObserver(Observer):
    reads_state = False

    def __init__(self, function: Callable[[EpochRecord], Any]) -> None:
        self._function = function

    def on_epoch(self, record: EpochRecord) -> None:
        self._function(record)
