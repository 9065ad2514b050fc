"""Load the templates in `html/`, and write pages to disk."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from jaxnn.arguments import missing_extra

__all__ = ["replace_file", "template_environment"]


def template_environment() -> Any:
    """Make a jinja2 environment that loads the templates of `html/` and escapes what it inserts.

    Raises:
      ImportError: jinja2 is not installed (`pip install "jaxnn[report]"`).

    >>> template_environment().from_string("{{ text }}").render(text="a < b")
    'a &lt; b'
    """
    try:
        import jinja2
    except ImportError as error:
        raise missing_extra("the report page", "report") from error
    return jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(
            lambda name: resources.files("jaxnn.report").joinpath("html", name).read_text("utf-8")
        ),
    )


def replace_file(path: Path, text: str) -> None:
    """Write a text so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
