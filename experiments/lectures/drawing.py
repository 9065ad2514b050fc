"""Draw the pictures of `optimizer_paths`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxnn.report.style import COLOURS, INK, plain_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STARTS = (COLOURS["train"], COLOURS["val"])
# Okabe and Ito's colours and a grey, which every kind of colour vision tells apart.
LINES = (COLOURS["train"], COLOURS["val"], "#009e73", "#cc79a7", "#8c8c8c")
_COLUMNS = 5
_FLOOR = 1e-12  # lower losses are drawn here


def path_panels(scene: Any, chosen: Mapping[str, Any], *, every: int) -> Figure:
    """Draw contours for each optimizer, with its paths and a dot every `every` steps."""
    from matplotlib.figure import Figure

    rows = len(chosen) // _COLUMNS + 1  # at least one place is left for the legend
    x_from, x_to, y_from, y_to = scene.window
    height = 2.0 * max(0.62, min(1.0, (y_to - y_from) / (x_to - x_from))) + 0.42
    with plain_style({"axes.spines.left": False, "axes.spines.bottom": False}):
        figure = Figure(
            figsize=(10.6, rows * height),
            layout="constrained",
            label=f"{scene.title}: the path of every optimizer",
        )
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
        panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        contours = _heights(scene)
        for axes in panels.flat[len(chosen) :]:
            axes.set_axis_off()
        _legend(panels.flat[len(chosen)], every)
        for axes, (name, found) in zip(panels.flat, chosen.items(), strict=False):
            _ground(axes, scene, contours)
            for points, colour in zip(found.points, STARTS, strict=True):
                _path(axes, points, colour, scene.window, every)
            axes.set_title(name, fontsize=9, loc="left", pad=14, fontweight="bold")
            ends = max(found.losses[:, -1])
            note = f"rate {found.rate:.2g}, ends at {_short(ends)}"
            axes.text(0, 1.025, note, transform=axes.transAxes, fontsize=7.5, alpha=0.75)
    return figure


def _heights(scene: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import jax

    x_from, x_to, y_from, y_to = scene.window
    x, y = np.meshgrid(np.linspace(x_from, x_to, 90), np.linspace(y_from, y_to, 90))
    height = jax.vmap(scene.loss)(np.stack([x.ravel(), y.ravel()], axis=1))
    return x, y, np.asarray(height).reshape(x.shape)


def _ground(axes: Axes, scene: Any, contours: Sequence[np.ndarray]) -> None:
    x_from, x_to, y_from, y_to = scene.window
    axes.contour(*contours, levels=scene.levels, colors=INK, linewidths=0.6, alpha=0.3)
    for minimum in scene.minima:
        axes.plot(*minimum, marker="x", markersize=6, markeredgewidth=1.4, color=INK)
    axes.set(xlim=(x_from, x_to), ylim=(y_from, y_to), xticks=[], yticks=[])


def _legend(axes: Axes, every: int) -> None:
    for start, colour in zip(("first", "second"), STARTS, strict=True):
        axes.plot(
            [], [], color=colour, marker="o", markersize=6, fillstyle="none", label=f"{start} start"
        )
    dot = f"every {every}th step" if every > 1 else "every step"
    axes.plot([], [], linestyle="none", marker="o", markersize=2.6, color=INK, label=dot)
    axes.plot(
        [],
        [],
        linestyle="none",
        marker="x",
        markeredgewidth=1.4,
        color=INK,
        markersize=6,
        label="minimum",
    )
    axes.legend(loc="center", fontsize=8.5)


def _path(axes: Axes, points: np.ndarray, colour: str, window: Sequence[float], every: int) -> None:
    shown = _until_settled(points, window)
    axes.plot(*shown.T, color=colour, linewidth=1.1, alpha=0.9)
    axes.plot(*points[::every].T, linestyle="none", marker="o", markersize=2.6, color=colour)
    axes.plot(*points[0], marker="o", markersize=6, fillstyle="none", color=colour)


def _until_settled(points: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Cut the path off where the rest of it would be smaller than a dot."""
    size = 2e-3 * (window[1] - window[0])
    moving = np.linalg.norm(points - points[-1], axis=1) > size
    last = int(np.max(np.nonzero(moving)[0], initial=0))
    return points[: last + 2]


def loss_panels(
    scene: Any, chosen: Mapping[str, Any], families: Mapping[str, Sequence[str]]
) -> Figure:
    """Draw the loss from the first start by step, a panel for each family."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(
            figsize=(10.6, 3.6),
            layout="constrained",
            label=f"{scene.title}: loss of every optimizer by step",
        )
        panels = figure.subplots(1, len(families), sharey=True)
        for axes, (family, names) in zip(panels, families.items(), strict=True):
            for place, (name, colour) in enumerate(zip(names, LINES, strict=False)):
                loss = np.maximum(chosen[name].losses[0], _FLOOR)
                # Two forms of one optimizer draw the same line: the later is dashed, to show both.
                dashes = (0, (3, 3)) if "rate inside" in name or "current" in name else "-"
                axes.plot(
                    loss,
                    color=colour,
                    linestyle=dashes,
                    linewidth=1.6,
                    label=name,
                    zorder=3 + place,
                )
            axes.set(yscale="log", xlabel="step")
            axes.set_xlim(0, len(loss) - 1)
            axes.set_title(family, fontsize=10, loc="left", fontweight="bold")
            axes.legend(fontsize="small", loc="best")
        panels[0].set_ylabel("loss")
        lowest = min(float(found.losses[0].min()) for found in chosen.values())
        panels[0].set_ylim(bottom=max(lowest / 3, _FLOOR))
    return figure


def _short(value: float) -> str:
    return f"{value:.1e}" if np.isfinite(value) else "infinity"
