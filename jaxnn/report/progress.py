"""Show a run's progress, on a terminal or in a log."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from jaxnn.report.values import SPLITS, duration, metric_names, number
from jaxnn.train import EpochRecord, Observer, Run

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Progress"]


class Progress(Observer):
    """Show each epoch as it ends, as an observer: a live bar on a terminal, else a line.

    It shows the losses, the first metric, the examples per second, and the time left. Without a
    terminal (a log file, a notebook) each epoch is one line:

        epoch  3/30  loss 0.4321  accuracy 0.912  val loss 0.3987  val accuracy 0.925  …

    The time left is the median of `seconds` over the epochs of this run, times the number of
    remaining epochs. So the first epoch, which contains the compilation, hardly changes it, and
    after a resume the epochs of the earlier run do not count.

    Args:
      console: a `rich.console.Console` to write to; None writes to standard output.

    >>> import io
    >>> from types import SimpleNamespace as Fake
    >>> from rich.console import Console
    >>> run = Fake(config={"epochs": 3}, history=Fake(epochs=[]))
    >>> text = io.StringIO()
    >>> progress = Progress(Console(file=text, force_terminal=False))
    >>> progress.on_start(run)
    >>> progress.on_epoch(Fake(epoch=1, values={"train/loss": 0.5, "seconds": 2.0}))
    >>> progress.on_end(run)
    >>> print(text.getvalue().rstrip())
    epoch 1/3  loss 0.5000  0:00:04 left
    """

    def __init__(self, console: Console | None = None) -> None:
        self._given_console = console
        self._live: Live | None = None
        self._epochs = 0
        self._seconds: list[float] = []

    def on_start(self, run: Run) -> None:
        """Start the bar, at 0 or, in a resumed run, where its history ends."""
        from rich.console import Console
        from rich.live import Live

        # Made here and not in __init__, so that it writes to the present sys.stdout.
        console = self._given_console or Console()
        self._epochs = run.config["epochs"]
        self._seconds = []
        self._console = console
        self._live = None
        if console.is_terminal and not console.is_dumb_terminal:
            records = run.history.epochs
            start = self._bar(records[-1].epoch if records else 0, [], [])
            # No thread repaints between epochs: the numbers change with the epochs only.
            live = Live(start, console=console, auto_refresh=False)
            live.start(refresh=True)
            self._live = live

    def on_epoch(self, record: EpochRecord) -> None:
        """Show one epoch."""
        from rich.text import Text

        values, speed = _values(record), self._speed(record)
        if self._live is not None:
            self._live.update(self._bar(record.epoch, values, speed), refresh=True)
            return
        width = len(str(self._epochs))
        parts = [f"epoch {record.epoch:{width}}/{self._epochs}", *values, *speed]
        # Text, because a metric's name in brackets must not be taken for rich's markup.
        self._console.print(Text("  ".join(parts)), soft_wrap=True)

    def on_end(self, run: Run) -> None:
        """Leave the last line standing and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _speed(self, record: EpochRecord) -> list[str]:
        parts = []
        if "examples_per_second" in record.values:
            parts.append(f"{record.values['examples_per_second']:.0f} examples/s")
        seconds = record.values.get("seconds", math.nan)
        if math.isfinite(seconds):
            self._seconds.append(seconds)
        if self._seconds:
            epochs_left = max(self._epochs - record.epoch, 0)
            parts.append(f"{duration(epochs_left * statistics.median(self._seconds))} left")
        return parts

    def _bar(self, epoch: int, values: list[str], speed: list[str]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=self._epochs, completed=epoch)
        row.add_row(Text(f"epoch {epoch}/{self._epochs}"), bar, Text("  ".join(speed)))
        # Two rows, since one row of all this does not fit into 80 columns.
        return Group(row, Text("  ".join(values))) if values else row


def _values(record: EpochRecord) -> list[str]:
    parts = []
    for split in SPLITS:
        prefix = "" if split == "train" else f"{split} "
        for name, digits in [("loss", 4), *((name, 3) for name in metric_names([record])[:1])]:
            if f"{split}/{name}" in record.values:
                value = number(record.values[f"{split}/{name}"], digits)
                parts.append(f"{prefix}{name} {value}")
    return parts
