"""A history at a glance: one line of text, and a small picture for notebooks.

The picture is plain SVG, which needs no library; `jaxnn.report` draws the real figures.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["curves", "joined", "short", "values_table"]

_WIDTH, _HEIGHT, _MARGIN = 320, 120, 4  # pixels of the picture
_POINTS = 160  # of a curve, at most
_COLOURS = ("#0072b2", "#d55e00")  # as in the figures of jaxnn.report: training, validation


def joined(names: Sequence[str], most: int = 8) -> str:
    """List names, of many the first ones with the number of the others.

    >>> joined(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    listing = ", ".join(short(name, 40) for name in names[:most])
    return listing if len(names) <= most else f"{listing} and {len(names) - most:,} more"


def short(value: Any, most: int = 60) -> str:
    """Write a value in one short line: a number with four digits, an array by its shape.

    >>> short(0.123456), short(np.ones((3, 4))), short("a long name", 6)
    ('0.1235', 'float64(3, 4)', 'a lon…')
    """
    shape = getattr(value, "shape", ())
    if shape:
        return f"{value.dtype}{shape}"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def values_table(values: Mapping[str, Any], most: int = 12) -> str:
    """An HTML table of the first values, a row each."""
    rows = "".join(
        f"<tr><td>{html.escape(short(name))}</td><td>{html.escape(short(values[name]))}</td></tr>"
        for name in list(values)[:most]
    )
    more = f"<p>and {len(values) - most:,} more</p>" if len(values) > most else ""
    return f"<table>{rows}</table>{more}"


def curves(series: Mapping[str, np.ndarray]) -> str:
    """An SVG of up to two series over epochs, on one scale, with its lowest and highest value.

    The scale is logarithmic where all values are above 0 and span more than a decade. Values
    that are not finite are left out.

    Args:
      series: (epochs,) each, by name; of members (epochs, members), of which the median is drawn.

    Returns:
      The SVG; empty where no series has two finite values.
    """
    drawn = {}
    for name, values in list(series.items())[: len(_COLOURS)]:
        row = values if values.ndim == 1 else _median(values)
        at = np.flatnonzero(np.isfinite(row))
        if at.size >= 2:
            at = at[np.unique(np.linspace(0, at.size - 1, _POINTS).astype(int))]
            drawn[name] = (at, row[at])
    if not drawn:
        return ""
    every = np.concatenate([values for _, values in drawn.values()])
    low, high = float(every.min()), float(every.max())
    scale = math.log10 if low > 0 and high > 10 * low else float
    span = scale(high) - scale(low) or 1.0
    epochs = max(len(values) for values in series.values())

    def point(at: int, value: float) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * at / (epochs - 1)
        y = _MARGIN + (_HEIGHT - 2 * _MARGIN) * (1 - (scale(value) - scale(low)) / span)
        return f"{x:.1f},{y:.1f}"

    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="'
        + " ".join(point(int(at), float(value)) for at, value in zip(*line, strict=True))
        + '"/>'
        for colour, line in zip(_COLOURS, drawn.values(), strict=False)
    ]
    labels = ", ".join(
        f'<span style="color:{colour}">{html.escape(short(name))}</span>'
        for colour, name in zip(_COLOURS, drawn, strict=False)
    )
    kind = ", logarithmic" if scale is math.log10 else ""
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" style="border:1px solid #8888">{"".join(lines)}</svg>'
        f"<div>{labels}: from {low:.4g} to {high:.4g} over {epochs} epochs{kind}</div>"
    )


def _median(values: np.ndarray) -> np.ndarray:
    row = np.full(len(values), math.nan)
    for epoch, of_members in enumerate(values):
        finite = of_members[np.isfinite(of_members)]
        if finite.size:
            row[epoch] = np.median(finite)
    return row
