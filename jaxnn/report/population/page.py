"""Write a population as one page: every curve, knobs against outcomes, and who ended where."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.arguments import check_path, check_text
from jaxnn.population.population import Population
from jaxnn.report.population.columns import Column, Columns, columns_of
from jaxnn.report.population.data import page_data, script_json
from jaxnn.report.population.endings import KINDS
from jaxnn.report.population.source import Source, source_of
from jaxnn.report.population.telling import copies, endings, facts, headlines, most_telling, ranked
from jaxnn.report.settings import setting_cards, setting_text
from jaxnn.report.templates import replace_file, template_environment
from jaxnn.report.values import label, leading_name, number
from jaxnn.report.writer import PageWriter

__all__ = ["PopulationPage", "render_population", "write_population_page"]

_MOST_MEMBERS = 2000
_SCRIPTS = ("scales", "drawing", "curves", "scatter", "parallel", "endings", "table", "page")


class PopulationPage(PageWriter):
    """Write the page of a population, `report.html`, into its folder, as an observer.

    The page shows the curves of all members in one picture, coloured by a knob of the reader's
    choice; each knob against the outcome; parallel coordinates; how many members ended at which
    epoch, and which; and a table that is sorted by a click. It is one file, which loads nothing.

    It is written when training ends, also by Ctrl-C, and after an epoch at most every 30 seconds.

    Args:
      by: value of the record that the page begins with, such as "val/accuracy"; None: the first
        metric, of the validation examples where there are any.
      colour: path of the knob that colours the members at first; None: the one whose neighbouring
        values have the most alike outcomes.

    Attributes:
      path: of the file; None before the first population starts.

    >>> PopulationPage(by="val/accuracy", colour="lr").path is None
    True
    """

    def __init__(self, *, by: str | None = None, colour: str | None = None) -> None:
        self._by = None if by is None else check_text("by", by)
        self._colour = None if colour is None else check_text("colour", colour)

    def on_start(self, run: Population) -> None:
        """Check before training that the page can be written after it.

        Raises:
          ImportError: jinja2 is not installed.
          ValueError: the population has no folder, this is a single run, or `by` or `colour` is
            unknown.
        """
        source = source_of(run)
        _leading(source, self._by)
        _check_colour(source, self._colour)
        super().on_start(run)

    def _render(self, run: Population) -> str:
        return render_population(run, by=self._by, colour=self._colour)


def write_population_page(
    population: Population | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    by: str | None = None,
    colour: str | None = None,
) -> Path:
    """Write the page of a population that was trained, or of its folder while it trains.

    Args:
      population: what `fit_population` returned, or its folder.
      path: of the file; None: `report.html` in the folder.
      by, colour: as in `PopulationPage`.

    Returns:
      The path.

    Raises:
      ImportError: jinja2 is not installed (`pip install "jaxnn[report]"`).
      ValueError: no population, an unknown `by` or `colour`, or no path where there is no folder.
      TypeError: an argument of another type.

    >>> import tempfile
    >>> from types import SimpleNamespace as Fake
    >>> from jaxnn.train import History
    >>> config = {"epochs": 1, "knobs": {"lr": [0.1, 0.2]}, "directions": {}, "recipe": "SGD"}
    >>> config["population"] = {"members": 2, "keys": None}
    >>> population = Fake(config=config, history=History(), folder=None, fates=[], lineage=[])
    >>> path = Path(tempfile.mkdtemp()) / "page.html"
    >>> write_population_page(population, path) == path
    True
    """
    source = source_of(population)
    if path is not None:
        place = check_path("path", path)
    elif source.folder is not None:
        place = source.folder / "report.html"
    else:
        raise ValueError("path must be given for a population without a folder, got None")
    replace_file(place, _rendered(source, by, colour))
    return place


def render_population(population: Any, *, by: str | None = None, colour: str | None = None) -> str:
    """Render the page of a population as self-contained HTML; see `PopulationPage`.

    The same population gives the same text.

    Args:
      population: a `Population`, or the folder of one.
      by, colour: as in `PopulationPage`.
    """
    return _rendered(source_of(population), by, colour)


def _rendered(source: Source, by: str | None, colour: str | None) -> str:
    leading = _leading(source, by)
    colour = _check_colour(source, colour)
    columns = columns_of(source, leading)
    outcome = _outcome(columns, leading)
    ranking = ranked(source, outcome)
    # Of very many, those that stand evenly in their order.
    drawn = np.unique(np.linspace(0, len(ranking) - 1, min(len(ranking), _MOST_MEMBERS)).round())
    ranking = ranking[drawn.astype(int)]
    rows = np.sort(ranking)
    environment = template_environment()
    environment.filters |= {"label": label, "number": number, "text": setting_text}
    style = "".join(_asset(name) for name in ("look.css", "population/look.css"))
    scripts = "".join(_asset(f"population/{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{scripts}}})();\n'
    data = page_data(source, columns, rows, leading)
    first = most_telling(columns, outcome)
    colour = colour if colour is not None or first is None else first.name
    return environment.get_template("population/page.html").render(
        title=Path(source.folder).resolve().name if source.folder else "Population",
        style=style,
        script=script,
        policy=_policy(style, script),
        data=script_json(data),
        facts=facts(source),
        headlines=headlines(source, columns),
        columns=columns,
        choices=list(enumerate(columns.columns)),
        colour=next((i for i, c in enumerate(columns.columns) if c.name == colour), None),
        outcome=None if outcome is None else columns.columns.index(outcome),
        curves=[curve["label"] for curve in data["curves"]],
        rows=[(int(row), int(np.searchsorted(rows, row))) for row in ranking],
        fates=source.fates,
        members=len(source.fates),
        best=[count for count in (300, 100, 30, 10, 3) if count < len(rows)],
        endings=endings(source),
        kinds=KINDS[1:],
        copies=copies(source),
        cards=setting_cards(_settings(source.config)),
    )


def _leading(source: Source, by: str | None) -> str | None:
    directions = source.config["directions"]
    if by is None:
        return leading_name(source.history.names or sorted(directions), directions)
    known = sorted({*directions, *source.history.names})
    if check_text("by", by) not in known:
        raise ValueError(f"by must be a value of the record, one of {known}, got {by!r}")
    return by


def _check_colour(source: Source, colour: str | None) -> str | None:
    known = [name for name, column in source.knobs.items() if np.ptp(column)]
    if colour is not None and check_text("colour", colour) not in known:
        raise ValueError(
            f"colour must be the path of a knob that differs between members, one of {known}, "
            f"got {colour!r}"
        )
    return colour


def _outcome(columns: Columns, leading: str | None) -> Column | None:
    outcomes = {column.name: column for column in columns.columns if column.role == "outcome"}
    for name in (f"best {leading}", leading, *outcomes):
        if name in outcomes:
            return outcomes[name]
    return None


def _asset(name: str) -> str:
    return resources.files("jaxnn.report").joinpath("html", name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """A content-security policy that allows this style and this script, and nothing else."""

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings without what stands in the table, a number a member."""
    told = {name: value for name, value in config.items() if name not in ("knobs", "recipe")}
    own_keys = config["population"]["keys"] is not None
    told["population"] = config["population"] | {"keys": "one a member" if own_keys else None}
    # Its knobs are those of the first member, whose recipe stands for all.
    return {"recipe": {"of member 0": config["recipe"]}, **told}
