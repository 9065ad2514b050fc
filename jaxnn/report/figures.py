"""Draw a history: the loss by step, and a metric with its generalization gap.

Each function takes a history and returns a new `matplotlib.figure.Figure`. It belongs to
no pyplot, and neither reads nor changes the caller's rcParams, so that the same history
gives the same picture everywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxnn.arguments import check_attributes, check_text
from jaxnn.report.style import COLOURS, INK, MARKERS, plain_style
from jaxnn.report.values import SPLITS, label, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jaxnn.train import History

__all__ = ["loss_curve", "metric_curve"]

# A picture of a long run stays below some 150 kB.
_MAX_DOTS = 1000
_MAX_MARKED_EPOCHS = 40


class _Points(NamedTuple):
    x: np.ndarray  # in epochs
    y: np.ndarray

    def finite(self) -> _Points:
        kept = np.isfinite(self.y)
        return _Points(self.x[kept], self.y[kept])


def loss_curve(history: History) -> Figure:
    """Draw the training loss of every step, its moving average, and the losses of every epoch.

    Step i of the n steps of epoch e stands at (e − 1) + (i + 1)/n, so an epoch's own loss
    stands at its last step. The axis of the loss is logarithmic where all values are positive
    and span more than a decade. Of a run with more than a thousand steps, only the lowest and
    the highest step of each block are drawn, so that no spike is lost.

    Args:
      history: with a list `epochs` of records; `steps["loss"]`, `values["train/loss"]` and
        `values["val/loss"]` are drawn where they are present.

    Returns:
      A matplotlib figure, which a notebook shows as a picture. Values that are NaN or
        infinite are left out, and a note says so.

    Raises:
      ImportError: matplotlib is not installed (`pip install "jaxnn[report]"`).

    Source: Karpathy's CS231n notes, "Loss function"; practice B1.
    """
    check_attributes("history", history, ("epochs",), "the history of a run")
    with plain_style():
        figure, axes = _canvas("loss by step and epoch", "loss")
        steps = _step_points(history, "loss")
        epochs = {split: _epoch_points(history, f"{split}/loss") for split in SPLITS}
        drawn = [points for points in (steps, *epochs.values()) if points.y.size]
        _draw_steps(axes, steps)
        for split, points in epochs.items():
            _draw_epochs(axes, points, split)
        _set_loss_scale(axes, drawn)
        _finish(figure, axes, history, drawn)
    return figure


def metric_curve(history: History, name: str) -> Figure:
    """Draw a metric on training and validation examples, with the gap between them shaded.

    Args:
      history: with a list `epochs` of records, in whose `values` the metric is found.
      name: the metric, such as "accuracy", which draws "train/accuracy" and "val/accuracy",
        or the one of them that is present.

    Returns:
      A matplotlib figure, which a notebook shows as a picture. Values that are NaN or
        infinite are left out, and a note says so.

    Raises:
      ImportError: matplotlib is not installed (`pip install "jaxnn[report]"`).
      ValueError: epochs were completed, and none of them has the metric.

    Source: Karpathy's CS231n notes, "Train/Val accuracy"; practice B2.
    """
    check_attributes("history", history, ("epochs",), "the history of a run")
    check_text("name", name)
    epochs = {split: _epoch_points(history, f"{split}/{name}") for split in SPLITS}
    drawn = [points for points in epochs.values() if points.y.size]
    if history.epochs and not drawn:
        recorded = ", ".join(repr(known) for known in history.epochs[-1].values)
        raise ValueError(f"name must be a metric of the history ({recorded}), got {name!r}")
    with plain_style():
        figure, axes = _canvas(f"{name} by epoch", label(name))
        for split, points in epochs.items():
            _draw_epochs(axes, points, split)
        _draw_gap(axes, epochs["train"].finite(), epochs["val"].finite())
        _finish(figure, axes, history, drawn)
    return figure


def _epoch_points(history: History, name: str) -> _Points:
    found = [(r.epoch, r.values[name]) for r in history.epochs if name in r.values]
    x, y = zip(*found, strict=True) if found else ((), ())
    return _Points(np.array(x, dtype=float), np.array(y, dtype=float))


def _step_points(history: History, name: str) -> _Points:
    x, y = [np.empty(0)], [np.empty(0)]
    for record in history.epochs:
        series = np.asarray(record.steps.get(name, ()), dtype=float)
        x.append(record.epoch - 1 + np.arange(1, series.size + 1) / max(series.size, 1))
        y.append(series)
    return _Points(np.concatenate(x), np.concatenate(y))


def _canvas(title: str, y_label: str) -> tuple[Figure, Axes]:
    from matplotlib.ticker import MaxNLocator

    from jaxnn.report.picture import Picture

    # Small, so that its letters stay legible when a phone scales it to its width.
    figure = Picture(figsize=(5.0, 3.3), layout="constrained", label=title)
    axes = figure.add_subplot()
    axes.set_xlabel("epoch")
    axes.set_ylabel(y_label.replace("$", r"\$"))  # a dollar sign would start a formula
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _draw_steps(axes: Axes, points: _Points) -> None:
    finite = points.finite()
    if not finite.y.size:
        return
    dots, block = _extremes(finite)
    axes.plot(
        *dots,
        linestyle="none",
        marker="o",
        markersize=2.8,
        markeredgewidth=0,
        color=COLOURS["train"],
        alpha=0.4,
        label="each step" if block == 1 else f"extremes of {block} steps",
        gid="steps",
    )
    window = max(3, points.y.size // 50)
    if points.y.size >= 2 * window:
        axes.plot(
            *_moving_average(points, window),
            linewidth=1.0,
            color=COLOURS["train"],
            alpha=0.75,
            label=f"mean of {window} steps",
            gid="moving-average",
        )


def _extremes(points: _Points) -> tuple[_Points, int]:
    """Thin out to about `_MAX_DOTS` points: the lowest and the highest of each block."""
    size = points.y.size
    if size <= _MAX_DOTS:
        return points, 1
    block = math.ceil(2 * size / _MAX_DOTS)
    kept: list[int] = []
    for start in range(0, size, block):
        part = points.y[start : start + block]
        kept += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return _Points(points.x[kept], points.y[kept]), block


def _moving_average(points: _Points, window: int) -> _Points:
    """Average `window` neighbouring steps; each mean stands in the middle of its window."""
    # Each window is summed anew: differences of one running sum would lose the small
    # losses that follow a huge one.
    every = math.ceil(points.y.size / _MAX_DOTS)
    x = np.lib.stride_tricks.sliding_window_view(points.x, window)[::every]
    y = np.lib.stride_tricks.sliding_window_view(points.y, window)[::every]
    finite = np.isfinite(y)
    count = finite.sum(axis=1)
    mean = np.where(finite, y, 0.0).sum(axis=1) / np.maximum(count, 1)
    return _Points(x.mean(axis=1), np.where(count > 0, mean, np.nan))


def _draw_epochs(axes: Axes, points: _Points, split: str) -> None:
    finite = points.finite()
    if finite.y.size:
        axes.plot(
            *finite,
            color=COLOURS[split],
            marker=MARKERS[split] if points.y.size <= _MAX_MARKED_EPOCHS else "",
            clip_on=False,  # the last epoch's marker stands on the edge
            label=SPLITS[split],
            gid=SPLITS[split],
        )


def _draw_gap(axes: Axes, train: _Points, val: _Points) -> None:
    x, in_train, in_val = np.intersect1d(train.x, val.x, return_indices=True)
    if x.size:
        low, high = train.y[in_train], val.y[in_val]
        gap = number(abs(high[-1] - low[-1]), 3)
        fill = {"color": INK, "alpha": 0.1, "linewidth": 0, "gid": "gap"}
        axes.fill_between(x, low, high, label=f"gap, {gap} at the end", **fill)


def _set_loss_scale(axes: Axes, drawn: list[_Points]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    values = np.concatenate([points.finite().y for points in drawn] or [np.empty(0)])
    if not values.size or values.min() <= 0 or values.max() <= 10 * values.min():
        return
    axes.set_yscale("log")
    few_decades = values.max() < 1e3 * values.min()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _finish(figure: Figure, axes: Axes, history: History, drawn: list[_Points]) -> None:
    """Set the range of epochs, the legend, and the remarks."""
    if history.epochs:
        axes.set_xlim(history.epochs[0].epoch - 1, history.epochs[-1].epoch)
    lost = np.concatenate([points.x[~np.isfinite(points.y)] for points in drawn] or [np.empty(0)])
    if lost.size:
        values = "1 value is" if lost.size == 1 else f"{lost.size} values are"
        note = f"{values} NaN or infinite and left out, the first at epoch {lost.min():.4g}"
        figure.supxlabel(note, fontsize="small", style="italic", gid="note")
    if any(points.finite().y.size for points in drawn):
        figure.legend(loc="outside upper left", ncols=4, fontsize="small", markerscale=1.3)
        return
    if not history.epochs:
        text = "no epoch was completed"
    else:
        text = "no value is finite" if drawn else "no loss was recorded"
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
