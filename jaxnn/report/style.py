"""The style of all pictures, and their conversion to SVG inside a page."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

from jaxnn.arguments import check_attributes, missing_extra

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.figure import Figure

__all__ = ["COLOURS", "INK", "MARKERS", "plain_style", "svg"]

INK = "#1d2733"

# Okabe and Ito's blue and vermillion, which every kind of colour vision tells apart, with a
# contrast above 3 on a white and on a dark background.
COLOURS = {"train": "#0072b2", "val": "#d55e00"}
MARKERS = {"train": "o", "val": "s"}

# In a page the colours follow the page's variables, light or dark; without variables they are
# the colours above.
_PAGE_COLOURS = {INK: "currentColor"} | {
    colour: f"var(--{split}, {colour})" for split, colour in COLOURS.items()
}

_STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 3.6,
    "lines.solid_joinstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "svg.fonttype": "none",
}


def plain_style(settings: dict[str, Any] | None = None) -> AbstractContextManager[None]:
    """Apply the rcParams of all pictures inside `with` only.

    They are based on matplotlib's own defaults, so that a user's matplotlibrc cannot change the
    bytes of a page.

    Args:
      settings: further rcParams.

    Raises:
      ImportError: matplotlib is not installed (`pip install "jaxnn[report]"`).

    >>> import matplotlib
    >>> with plain_style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    >>> matplotlib.rcParams["axes.spines.top"]
    True
    """
    try:
        import matplotlib
        import matplotlib.style
    except ImportError as error:
        raise missing_extra("the report page", "report") from error
    return matplotlib.style.context(["default", _STYLE | (settings or {})])


def svg(figure: Figure) -> str:
    """Convert a figure to an `<svg>` element for an HTML page.

    Letters stay text, in the page's own colour; the curves use the CSS variables `--train` and
    `--val` where the page sets them. The ids begin with a hash of the figure's label, so that
    figures with different labels can share a page. The same figure gives the same bytes.

    Args:
      figure: with its label (`Figure(label=…)`) set, which screen readers also read out.

    Returns:
      Well-formed XML, without a prolog, scripts, style elements or external resources.

    Raises:
      TypeError: `figure` is no figure.

    >>> from matplotlib.figure import Figure
    >>> svg(Figure(label="nothing"))[:5]
    '<svg '
    """
    check_attributes("figure", figure, ("get_label", "savefig"), "a matplotlib figure")
    label = str(figure.get_label())
    prefix = "f" + hashlib.blake2s(label.encode(), digest_size=4).hexdigest() + "-"
    buffer = io.StringIO()
    with plain_style({"svg.hashsalt": label}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    root = minidom.parseString(buffer.getvalue()).documentElement
    assert root is not None
    for parent in root.getElementsByTagName("defs"):
        # Inside a page, this rule for `*` would apply to the whole page. The root's attributes
        # below have the same effect on its own descendants.
        for style in parent.getElementsByTagName("style"):
            parent.removeChild(style)
    root.setAttribute("stroke-linejoin", "round")
    root.setAttribute("role", "img")
    root.setAttribute("aria-label", label)
    for element in root.getElementsByTagName("*"):
        for name, value in element.attributes.items():
            element.setAttribute(name, _rewritten(name, value, prefix))
    return root.toxml()


def _rewritten(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    value = re.sub(r"^#(?=.)" if name == "xlink:href" else r"(?<=url\()#", "#" + prefix, value)
    if name == "style":
        for colour, page_colour in _PAGE_COLOURS.items():
            value = value.replace(colour, page_colour)
    return value
