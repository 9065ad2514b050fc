"""One line of a notebook's output, which is written anew."""

from __future__ import annotations

import math
import sys
import time

from jaxnn.report.terminal import SurvivingStream

__all__ = ["NotebookLine"]

_SECONDS_BETWEEN_LINES = 0.1  # each goes through a socket


class NotebookLine:
    """One line of a notebook's output, which is written anew."""

    def __init__(self) -> None:
        self._stream = SurvivingStream(sys.stdout)  # of the cell that runs now
        self._width, self._latest, self._written_at = 0, "", -math.inf

    def write(self, line: str) -> None:
        self._latest = line
        if time.monotonic() - self._written_at >= _SECONDS_BETWEEN_LINES:
            self._flush()

    def leave(self, line: str) -> None:
        """Show what was written last, and below it a line that stays."""
        self._flush()
        print(f"\n{line}", file=self._stream, flush=True)

    def _flush(self) -> None:
        # Spaces cover what a longer line has left behind.
        print(f"\r{self._latest:{self._width}}", end="", file=self._stream, flush=True)
        self._width, self._written_at = len(self._latest), time.monotonic()
