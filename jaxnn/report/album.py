"""Write several pictures with texts between them as one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxnn.arguments import check_attributes, check_path, check_sequence, check_text
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
      TypeError: a path, a title or sections of another type.
      ValueError: two figures with the same label, or one without.

    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> path = Path(tempfile.mkdtemp()) / "album.html"
    >>> write_album(path, "Two", [("Empty", "As yet.", [Figure(label="nothing")])]) == path
    True
    """
    path, title = check_path("path", path), check_text("title", title)
    sections = [_checked(section) for section in check_sequence("sections", sections)]
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


def _checked(section: Any) -> Section:
    """A section, whose parts are of their types."""
    if not isinstance(section, (tuple, list)) or len(section) != 3:
        raise TypeError(
            f"sections must hold triples (heading, text, figures), got the section {section!r}"
        )
    heading, words, figures = section
    figures = check_sequence("sections: figures", figures)
    for figure in figures:
        check_attributes(
            "sections: figures", figure, ("get_label", "savefig"), "matplotlib figures"
        )
    return check_text("sections: heading", heading), check_text("sections: text", words), figures
