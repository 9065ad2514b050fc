"""Writes a history to a folder while it grows, and drops from memory what is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from jaxnn.train.record.history import LINES, SEGMENTS, History
from jaxnn.train.record.lines import append_line, read_lines, replace_file, sealed
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.record.segments import Segments, write_segment
from jaxnn.train.record.stored import columns, form, from_disk, memory, scalars

__all__ = ["HistoryWriter", "write_history"]

_SECONDS = 30.0  # between segments, at most
_BYTES = 2**24  # of a segment, about, at most


class HistoryWriter:
    """Writes the records of a run: the line of each at once, and series in segments.

    A segment is written after some seconds or megabytes, or by `flush`. Then the records in the
    history are replaced by such as read their series from it.

    Args:
      folder: of the run. What it holds of epochs beyond those of `history` is dropped.
      history: that grows; its epochs so far are those in the folder.

    Raises:
      ValueError: a segment there begins within the history and ends beyond it.
    """

    def __init__(self, folder: Path, history: History) -> None:
        self._lines, self._folder = folder / LINES, folder / SEGMENTS
        self._segments = Segments(self._folder)
        self._history, self._done = history, len(history.epochs)
        self._pending: list[EpochRecord] = []
        self._bytes, self._since = 0, time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._drop(history.epochs[-1].epoch if history.epochs else 0)

    def append(self, record: EpochRecord) -> None:
        """Write the line of a record, which the history holds as its last."""
        if self._pending and form(self._pending[0]) != form(record):
            self.flush()
        append_line(self._lines, sealed(scalars(record)))
        self._pending.append(record)
        self._bytes += memory(record)
        if self._bytes > _BYTES or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write a segment of the records since the last one, and wait until it is on the disk."""
        pending, self._pending, self._bytes = self._pending, [], 0
        self._since = time.monotonic()
        if not pending:
            return
        append_line(self._lines, "", lasting=True)
        segment = write_segment(
            self._folder, pending[0].epoch, columns(pending), len(pending), pending[0].members
        )
        for number, record in enumerate(pending, self._done):
            make = partial(from_disk, self._segments, segment, scalars(record))
            self._history.epochs.replace(number, make() if record.members is None else make)
        self._done += len(pending)

    def _drop(self, last: int) -> None:
        """Drop the epochs behind the last one that is kept."""
        there = self._segments.index() if last else []
        for segment in there:
            if segment.first <= last < segment.last:
                raise ValueError(
                    f"{self._folder / segment.file} must end with epoch {last}, from which the "
                    f"run goes on, or before, got epochs {segment.first} to {segment.last}"
                )
        # What lies behind them may be damaged, and is not looked at.
        kept = islice(read_lines(self._lines), self._done) if last else ()
        replace_file(self._lines, "".join(map(sealed, kept)))
        self._segments.begin([segment for segment in there if segment.last <= last])


def write_history(folder: Path, records: Iterable[EpochRecord]) -> None:
    """Write a history whose run has ended to a new folder."""
    history = History()
    writer = HistoryWriter(folder, history)
    for record in records:
        history.epochs.append(record)
        writer.append(record)
    writer.flush()
