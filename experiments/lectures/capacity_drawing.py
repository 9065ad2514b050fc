"""What the networks of `capacity` reach, and the pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.lectures.drawing import LINES
from jaxnn.report.style import COLOURS, INK, plain_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jaxnn.report.album import Section

EXACT = 0.02  # networks with at most this training error count as fitting the labels


class Sweep(NamedTuple):
    """What the networks that learn digits reach, each field of shape (widths, rates, seeds)."""

    train: np.ndarray  # error against the labels that were learned, after the last epoch
    val: np.ndarray  # error on the other digits, after the last epoch
    lowest: np.ndarray  # the lowest such error of any epoch, as early stopping would find it
    loss: np.ndarray  # mean loss on the other digits, after the last epoch


class Fits(NamedTuple):
    """What the networks that fit a curve reach, the best one of each width."""

    x: np.ndarray  # (points,)
    y: np.ndarray  # (points,)
    outputs: np.ndarray  # (widths, points)
    errors: np.ndarray  # (widths,), root mean squared


def exact_widths(sweep: Sweep, config: Any) -> list[int | None]:
    """Find for each rate the least width that fits the labels, up to `EXACT` on average."""
    fitting = sweep.train.mean(axis=-1) <= EXACT  # (widths, rates)
    return [config.widths[column.argmax()] if column.any() else None for column in fitting.T]


def sections(sweep: Sweep, fits: Fits, config: Any) -> list[Section]:
    """Make the headings, texts and pictures of the page, for the options `config`."""
    exact = exact_widths(sweep, config)
    return [
        (
            "Through the width that fits everything",
            f"Networks with one hidden layer learn {config.examples:,} digits, of which "
            f"{config.wrong_labels:.0%} have a wrong label. A line is the mean of "
            f"{config.seeds} networks with different initial weights, each of which is a dot.\n\n"
            "Too few units cannot tell the digits apart, and both errors are high. A few more "
            "find what the digits have in common: the validation error falls to a first minimum, "
            "the lecture's sweet spot. Still more fit the wrong labels too, and the validation "
            "error stops falling or rises, up to the width that fits all labels (broken line). "
            "Beyond it many networks fit them, and training finds smoother ones the more units "
            "there are: the validation error falls a second time.",
            [error_panels(sweep, config, exact)],
        ),
        (
            "Loss, and early stopping",
            "The loss shows also how sure a network is of its mistakes, and is highest near the "
            "width that fits all labels. The second picture compares the last epoch with the "
            "best one, which early stopping would hand back: it takes away most of the harm that "
            "a width does.",
            [loss_picture(sweep, config, exact), stopping_picture(sweep, config)],
        ),
        (
            "Universal approximation",
            "A network with one hidden layer and enough units comes as close as one likes to "
            "every continuous function on an interval. Each panel has the best network of its "
            "width, with its root mean squared error; the units are tanh.",
            [curve_panels(fits, config)],
        ),
    ]


def error_panels(sweep: Sweep, config: Any, exact: Sequence[int | None]) -> Figure:
    """Draw training and validation error against width, a panel for each rate."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(
            figsize=(10.6, 3.6), layout="constrained", label="Errors against width, by rate"
        )
        panels = figure.subplots(1, len(config.rates), sharey=True, squeeze=False)[0]
        for number, (axes, rate) in enumerate(zip(panels, config.rates, strict=True)):
            for split, name in (("train", "training"), ("val", "validation")):
                errors = getattr(sweep, split)[:, number]
                _line(axes, config.widths, errors, COLOURS[split], name)
            _mark(axes, exact[number], INK)
            axes.set_title(f"rate {rate:g}", fontsize=10, loc="left", fontweight="bold")
        panels[0].set(ylabel="error", ylim=(0, None))
        panels[0].legend(fontsize="small")
    return figure


def loss_picture(sweep: Sweep, config: Any, exact: Sequence[int | None]) -> Figure:
    """Draw the validation loss against width, a line for each rate."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(figsize=(5.0, 3.4), layout="constrained", label="Loss against width")
        axes = figure.add_subplot(ylabel="validation loss")
        for number, (rate, colour) in enumerate(zip(config.rates, _colours(config), strict=True)):
            _line(axes, config.widths, sweep.loss[:, number], colour, f"rate {rate:g}")
            _mark(axes, exact[number], colour)
        axes.legend(fontsize="small")
    return figure


def stopping_picture(sweep: Sweep, config: Any) -> Figure:
    """Draw the validation error of the last and of the best epoch, a colour for each rate."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(
            figsize=(5.0, 3.4), layout="constrained", label="Error of the last and the best epoch"
        )
        axes = figure.add_subplot(ylabel="validation error")
        for number, (rate, colour) in enumerate(zip(config.rates, _colours(config), strict=True)):
            last, lowest = sweep.val[:, number].mean(-1), sweep.lowest[:, number].mean(-1)
            axes.plot(config.widths, last, color=colour, label=f"rate {rate:g}, last")
            axes.plot(
                config.widths, lowest, color=colour, linestyle=(0, (2, 2)), label="its best epoch"
            )
        axes.set(xscale="log", xlabel="hidden units", ylim=(0, None))
        axes.legend(fontsize="small")
    return figure


def curve_panels(fits: Fits, config: Any) -> Figure:
    """Draw the curve and the network that fits it best, a panel for each width."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(
            figsize=(10.6, 2.8), layout="constrained", label="A curve fitted by growing widths"
        )
        panels = figure.subplots(1, len(config.curve_widths), sharey=True, squeeze=False)[0]
        for axes, width, outputs, error in zip(
            panels, config.curve_widths, fits.outputs, fits.errors, strict=True
        ):
            axes.plot(fits.x, fits.y, color=INK, linewidth=3.2, alpha=0.25, label="curve")
            axes.plot(fits.x, outputs, color=COLOURS["val"], linewidth=1.4, label="network")
            axes.set_title(f"{width:,} units: {error:.2g}", fontsize=10, loc="left")
            axes.set(xlabel="x")
        panels[0].legend(fontsize="small")
    return figure


def _colours(config: Any) -> list[str]:
    return [LINES[number % len(LINES)] for number in range(len(config.rates))]


def _line(axes: Axes, widths: Sequence[int], values: np.ndarray, colour: str, label: str) -> None:
    """Draw the mean over seeds as a line and each seed as a dot; values (widths, seeds)."""
    axes.plot(widths, values.mean(axis=-1), color=colour, label=label)
    axes.plot(widths, values, color=colour, linestyle="none", marker="o", markersize=2, alpha=0.35)
    axes.set(xscale="log", xlabel="hidden units")


def _mark(axes: Axes, width: int | None, colour: str) -> None:
    if width is not None:
        axes.axvline(width, color=colour, linestyle=(0, (3, 3)), linewidth=0.9)
