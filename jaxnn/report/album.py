"""Write several pictures with texts between them as one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxnn.report.style import svg
from jaxnn.report.templates import replace_file, template_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Section", "write_album"]

Section = tuple[str, str, "Sequence[Figure]"]
"""A heading, a text (an empty line begins a new paragraph), and the pictures below it."""

_WIDE = 7.0  # inches; a wider picture fills a row of the page


def write_album(path: str | os.PathLike[str], title: str, sections: Sequence[Section]) -> Path:
    """Write pictures and texts as a self-contained HTML file, without scripts.

    It looks like the page of a run, light or dark. An existing file is replaced atomically. The
    same figures give the same bytes.

    Args:
      path: of the file, in a folder that is made where it is missing.
      title: of the page.
      sections: each has a heading, a text and matplotlib figures. Every figure has its own
        label (`Figure(label=…)`), which screen readers read out; draw it inside
        `jaxnn.report.style.plain_style()`. A figure wider than 7 inches fills a row.

    Returns:
      The path.

    Raises:
      ImportError: matplotlib or jinja2 is not installed (`pip install "jaxnn[report]"`).
      ValueError: two figures with the same label, or one without.

    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> path = Path(tempfile.mkdtemp()) / "album.html"
    >>> write_album(path, "Two", [("Empty", "As yet.", [Figure(label="nothing")])]) == path
    True
    """
    path = Path(path)
    labels = [str(figure.get_label()) for _, _, figures in sections for figure in figures]
    for label in labels:
        if not label or labels.count(label) > 1:
            raise ValueError(f"every figure must have a label of its own, got {label!r}")
    template = template_environment().get_template("album.html")
    text = template.render(
        title=title,
        sections=[
            (
                heading,
                [paragraph for paragraph in words.split("\n\n") if paragraph.strip()],
                [(svg(figure), figure.get_figwidth() > _WIDE) for figure in figures],
            )
            for heading, words, figures in sections
        ],
    )
    replace_file(path, text)
    return path
