"""Show the progress of a run or a population: on a terminal, in a notebook or in a log."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from jaxnn.arguments import check_attributes
from jaxnn.report.progress.notebook import NotebookLine
from jaxnn.report.progress.of_population import PopulationWords
from jaxnn.report.progress.of_run import RunWords
from jaxnn.report.terminal import SurvivingStream, writable
from jaxnn.report.values import is_population
from jaxnn.train import EpochRecord, Observer, Run
from jaxnn.train.observers import in_notebook

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Progress"]


class Progress(Observer):
    """Show each epoch as it ends, as an observer, and at the end why the run ended.

    It shows the losses, the first metric, the examples per second and the time left: as a live
    bar on a terminal, as one line that is written anew in a notebook, and as a line an epoch
    elsewhere, such as in a log file:

        epoch  3/30  loss 0.4321  accuracy 0.912  val loss 0.3987  val accuracy 0.925  …

    Before the first epoch is done it says that the run compiles. That epoch counts neither into
    the examples per second nor into the time left, which is the median of `seconds` over the
    later epochs of this run, times the number of remaining epochs. The last line says why the
    run ended, and the weights of which epoch it hands back.

    Of a population it shows how many members are alive, the best value so far of the first
    metric and which member had it, the next rung, and the member-epochs per second:

        epoch  3/30  27/81 alive  best val accuracy 0.925 (member 14)  next rung: epoch 9  …

    The time left is then that of the members that still train, and "at most" stands before it
    while a rung is to come. The last line says how many members ended in which way.

    What it shows never ends a run: characters that an output cannot write are spelled out, and
    an output that has gone away, such as a closed pipe, is no longer written to.

    Args:
      console: a `rich.console.Console` to write to; None writes to standard output.

    >>> import io
    >>> from types import SimpleNamespace as Fake
    >>> from rich.console import Console
    >>> run = Fake(config={"epochs": 2}, history=Fake(epochs=[]), make_recipe=None)
    >>> text = io.StringIO()
    >>> progress = Progress(Console(file=text, force_terminal=False))
    >>> progress.on_start(run)
    >>> for epoch in (1, 2):
    ...     values = {"train/loss": 0.5 / epoch, "seconds": 2.0}
    ...     run.history.epochs.append(Fake(epoch=epoch, values=values, stopped=False))
    ...     progress.on_epoch(run.history.epochs[-1])
    >>> progress.on_end(run)
    >>> print(text.getvalue().rstrip())
    compiling, epoch 1/2
    epoch 1/2  loss 0.5000
    epoch 2/2  loss 0.2500  0:00:00 left
    all 2 epochs done: weights of the last
    """

    reads_state = False
    shows_progress = True

    def __init__(self, console: Console | None = None) -> None:
        if console is not None:
            parts = ("file", "print", "is_terminal")
            check_attributes("console", console, parts, "a rich.console.Console, or None")
        self._given_console = console
        self._live: Live | None = None
        self._place: NotebookLine | None = None

    def on_start(self, run: Any) -> None:
        """Start the display, at 0 or, in a resumed run, where its history ends."""
        from rich.console import Console
        from rich.live import Live

        # Made here and not in __init__, so that it writes to the present sys.stdout.
        self._console = self._given_console or Console()
        self._file = self._console.file
        # On a closed pipe rich would end the program.
        self._console.file = cast("IO[str]", SurvivingStream(self._file))
        self._epochs = run.config["epochs"]
        self._words: Any = PopulationWords(run) if is_population(run) else RunWords(run)
        self._live = None
        self._place = NotebookLine() if in_notebook() and self._given_console is None else None
        records = run.history.epochs
        done = records[-1].epoch if records else 0
        if done >= self._epochs or (records and np.all(records[-1].stopped)):
            return  # a resumed run that has nothing left to do
        first = f"compiling, epoch {done + 1}/{self._epochs}"
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            bar = self._bar(first, done, [], [])
            # No thread repaints between epochs: the numbers change with the epochs only.
            self._live = Live(bar, console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._print(first)

    def on_epoch(self, record: EpochRecord) -> None:
        """Show one epoch."""
        values, speed = self._words.of_epoch(record)
        if self._live is not None:
            count = f"epoch {record.epoch}/{self._epochs}"
            self._live.update(self._bar(count, record.epoch, values, speed), refresh=True)
            return
        width = len(str(self._epochs))
        self._print("  ".join([f"epoch {record.epoch:{width}}/{self._epochs}", *values, *speed]))

    def on_end(self, run: Run) -> None:
        """Leave the last numbers standing, give the terminal back, and say why the run ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        # What ended the run before its time is being handled while this is called.
        line = self._words.of_end(run, sys.exc_info()[1])
        if self._place is not None:
            self._place.leave(line)
            self._place = None
        else:
            self._print(line)
        self._console.file = self._file

    def _print(self, line: str) -> None:
        from rich.text import Text

        if self._place is not None:
            self._place.write(line)
        else:
            # Text, because a metric's name in brackets must not be taken for rich's markup.
            self._console.print(Text(line), soft_wrap=True)

    def _bar(self, what: str, done: int, values: list[str], speed: list[str]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=self._epochs, completed=done)
        row.add_row(Text(what), bar, Text("  ".join(speed)))
        # Two rows, since one row of all this does not fit into 80 columns. Their letters are those
        # that the terminal gets, which may be more: a repaint counts its lines.
        below = writable("  ".join(values), self._console.encoding)
        return Group(row, Text(below)) if values else row
