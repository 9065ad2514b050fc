"""Write a page into a folder while what it shows goes on, and at its end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxnn.arguments import missing_extra
from jaxnn.report.templates import replace_file
from jaxnn.train import EpochRecord, Observer

__all__ = ["PageWriter"]

_SECONDS_BETWEEN_WRITES = 30.0
_TIMES_BETWEEN_WRITES = 20  # so that a page that takes long slows no run down by more than 5 %


class PageWriter(Observer, ABC):
    """Writes `report.html` into the folder of a run or a population, as an observer.

    The page is written when the run ends, also by Ctrl-C, and during the run after an epoch, at
    most every 30 seconds, so that a long run can be watched. The file is replaced atomically: a
    browser never sees half of it.

    Attributes:
      path: of the file; None before the first run starts.
    """

    path: Path | None = None
    reads_state = False
    _needs = ("jinja2",)

    def on_start(self, run: Any) -> None:
        """Check before training that the page can be written after it.

        Raises:
          ImportError: a package that it needs is not installed.
          ValueError: the run has no folder.
        """
        # Only looked for: importing them now would delay the start of the run by half a second.
        if any(find_spec(name) is None for name in self._needs):
            raise missing_extra("the report page", "report")
        if run.folder is None:
            raise ValueError(
                "folder must be given for a report page to be written into: "
                "pass folder= to fit, got None"
            )
        self.path = Path(run.folder) / "report.html"
        self._run = run
        self._next_at = time.monotonic() + _SECONDS_BETWEEN_WRITES

    def on_epoch(self, record: EpochRecord) -> None:
        """Write the page, unless that was done less than 30 seconds ago."""
        if time.monotonic() >= self._next_at:
            self._write(self._run)

    def on_end(self, run: Any) -> None:
        """Write the final page."""
        self._write(run)

    @abstractmethod
    def _render(self, run: Any) -> str:
        """The page of a run or a population, as HTML."""

    def _write(self, run: Any) -> None:
        assert self.path is not None
        begun = time.monotonic()
        replace_file(self.path, self._render(run))
        now = time.monotonic()
        self._next_at = now + max(_SECONDS_BETWEEN_WRITES, _TIMES_BETWEEN_WRITES * (now - begun))
