"""Format the table as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmarks.fit_overhead import Overhead
from experiments.benchmarks.race import Row
from experiments.benchmarks.startup import Startup
from experiments.benchmarks.timing import Quartiles

__all__ = ["HEADER", "overhead_line", "row_lines", "spread", "startup_lines"]

HEADER = (
    f"{'':24} {'µs/step':>9} {'steps/s':>8} {'examples/s':>10} {'ratio':>6} {'spread':12} "
    f"{'compile':>7} {'memory':>8} {'of limit':>8} {'loss':>6}"
)


def row_lines(row: Row) -> Iterator[str]:
    """Format a task as a heading and a line for each competitor."""
    members = f", {row.members} members, per member" if row.members > 1 else ""
    yield (
        f"{row.task}, batch {row.batch}{members}: {row.parameters:,} parameters, "
        f"{row.floating_operations / 1e6:,.1f} MFLOP a step, {row.steps} steps a timing"
    )
    for name, seconds in row.seconds.items():
        rate, ratio = 1 / seconds.median, row.ratios.get(name)
        compiling, memory = row.compilation.get(name), row.memory.get(name)
        yield (
            f"  {name:22} {1e6 * seconds.median:9.1f} {rate:8.0f} {rate * row.batch:10.0f} "
            + (f"{ratio.median:6.2f} {spread(ratio):12} " if ratio else f"{'':19} ")
            + (f"{compiling:6.1f}s " if compiling is not None else f"{'':8}")
            + (f"{memory / 2**20:5.0f}MiB " if memory is not None else f"{'':9}")
            + f"{100 * row.share[name]:7.1f}% {row.losses[name][1]:6.3f}"
        )


def startup_lines(startup: Startup) -> Iterator[str]:
    """Format start-up as a line for each way of starting."""
    yield (
        f"start-up to the end of the first epoch, {startup.network}: s, ratio to the Flax script, "
        "warm to warm"
    )
    for name, seconds in startup.seconds.items():
        ratio = startup.ratios.get(name)
        line = f"  {name:24} {seconds.median:6.2f} {spread(seconds):12}"
        yield line + (f" {ratio.median:6.2f} {spread(ratio)}" if ratio else "")


def overhead_line(overhead: Overhead) -> str:
    """Format the time of `fit` over that of the bare compiled calls."""
    return (
        f"  {overhead.task}, {overhead.epochs} epochs, {overhead.steps} steps, "
        f"{overhead.seconds.median:.2f} s: fit {overhead.fit.median:.3f} {spread(overhead.fit)}, "
        f"bare again {overhead.again.median:.3f} {spread(overhead.again)}"
    )


def spread(found: Quartiles) -> str:
    """Format the quartiles."""
    return f"{found.low:.2f}–{found.high:.2f}"
