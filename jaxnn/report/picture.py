"""Figures that a notebook shows as pictures."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure

from jaxnn.report.style import plain_style

__all__ = ["Picture"]

_DOTS_PER_INCH = 200  # twice what a notebook shows, so that letters are sharp on any screen


class Picture(Figure):
    """A matplotlib figure that a notebook shows as a picture when it ends a cell.

    It belongs to no pyplot, so that matplotlib alone would show its name there. The background
    is white, on a dark page too.

    >>> figure = Picture(figsize=(2, 1), label="nothing")
    >>> data, size = figure._repr_png_()
    >>> data[:4], size
    (b'\\x89PNG', {'width': 200, 'height': 100})
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        buffer = io.BytesIO()
        with plain_style():
            self.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor="white")
        width, height = self.get_size_inches() * _DOTS_PER_INCH / 2
        return buffer.getvalue(), {"width": round(width), "height": round(height)}
