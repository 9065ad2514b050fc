"""Draw the page of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.benchmarks.competitors import COMPETITORS, OURS
from experiments.benchmarks.race import AGAIN, Row
from experiments.benchmarks.startup import Startup
from experiments.benchmarks.timing import Quartiles
from jaxnn.report import write_album
from jaxnn.report.style import COLOURS, INK, plain_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_page"]

# Okabe and Ito's colours, as in all pictures; the second run of jaxnn is grey.
_COLOURS = dict(
    zip(
        (*COMPETITORS, AGAIN),
        (COLOURS["train"], "#56b4e9", COLOURS["val"], "#009e73", "#cc79a7", "#e69f00", "#8c8c8c"),
        strict=True,
    )
)

_HOW = (
    "A point is the median over timings taken in turn, a line reaches from the lower to the upper "
    "quartile. A ratio is the time of the peer over that of jaxnn in the same turn: right of "
    "1, jaxnn is faster. “jaxnn again” is jaxnn against itself; what lies as near to 1 as it "
    "does cannot be told from 1."
)


def write_page(
    path: Path, rows: Sequence[Row], starts: Sequence[Startup], words: Sequence[str]
) -> Path:
    """Write the pictures, and above them the lines of `words` about the machine and `fit`."""
    sections = [("How to read this", "\n\n".join([_HOW, *words]), [])]
    if rows:
        sections += [
            ("Ratios", "", [_ratios(rows)]),
            ("Time of a step", "", [_times(row) for row in rows]),
        ]
    if starts:
        text = "From the start of the process to the end of the first epoch of the digits."
        figures = [_bars(f"Start-up, {start.network}: s", start.seconds, 1.0) for start in starts]
        sections.append(("Start-up", text, figures))
    return write_album(path, "Benchmarks", sections)


def _ratios(rows: Sequence[Row]) -> Figure:
    from matplotlib.figure import Figure

    names = [name for name in _COLOURS if any(name in row.ratios for row in rows)]
    with plain_style():
        figure = Figure(
            figsize=(10.6, 1.2 + 0.22 * len(rows) * (len(names) + 1)),
            layout="constrained",
            label="Time of each peer over that of jaxnn, by task",
        )
        axes = figure.subplots()
        axes.axvline(1, color=INK, linewidth=0.8)
        for place, name in enumerate(names):
            offset = (place - (len(names) - 1) / 2) / (len(names) + 1)
            with_it = [
                (i + offset, row.ratios[name]) for i, row in enumerate(rows) if name in row.ratios
            ]
            _points(axes, [y for y, _ in with_it], [q for _, q in with_it], name)
        axes.set(xscale="log", xlabel="time of the peer ÷ time of jaxnn")
        axes.set_yticks(range(len(rows)), [row.task for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        _plain_numbers(axes)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(names)
        )
    return figure


def _points(axes: Axes, heights: Sequence[float], found: Sequence[Quartiles], name: str) -> None:
    middles = [q.median for q in found]
    reach = [[q.median - q.low for q in found], [q.high - q.median for q in found]]
    axes.errorbar(
        middles, heights, xerr=reach, fmt="o", markersize=5, color=_COLOURS[name], label=name
    )
    for height, middle in zip(heights, middles, strict=True):
        axes.annotate(
            f"{middle:.2f}",
            (middle, height),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )


def _plain_numbers(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = axes.get_xlim()
    ticks = [t for t in (0.25, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50) if low <= t <= high]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _times(row: Row) -> Figure:
    per = ", per member" if row.members > 1 else ""
    seconds = {name: found for name, found in row.seconds.items() if name != AGAIN}
    scale, unit = (1e3, "ms") if row.seconds[OURS].median > 1e-3 else (1e6, "µs")
    return _bars(f"{row.task}: {unit} of a step{per}", seconds, scale)


def _bars(label: str, found: dict[str, Quartiles], scale: float) -> Figure:
    from matplotlib.figure import Figure

    with plain_style({"axes.grid": False}):
        figure = Figure(figsize=(5.2, 0.7 + 0.3 * len(found)), layout="constrained", label=label)
        axes = figure.subplots()
        for height, (name, quartiles) in enumerate(found.items()):
            middle, low, high = (scale * value for value in quartiles)
            axes.barh(
                height,
                middle,
                height=0.7,
                color=_COLOURS[OURS] if name.startswith(OURS) else _COLOURS[AGAIN],
                xerr=[[middle - low], [high - middle]],
                error_kw={"elinewidth": 1, "ecolor": INK},
            )
            axes.annotate(
                f"{middle:.3g}",
                (high, height),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(found)), list(found))
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_title(label, fontsize=10, loc="left")
    return figure
