"""Write a run as one page: its numbers, its curves, and every setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from jaxnn.arguments import check_attributes
from jaxnn.population.population import Population
from jaxnn.report.figures import loss_curve, metric_curve
from jaxnn.report.population.page import render_population
from jaxnn.report.settings import setting_cards, setting_text
from jaxnn.report.style import svg
from jaxnn.report.templates import template_environment
from jaxnn.report.values import SPLITS, duration, is_population, label, metric_names, number
from jaxnn.report.writer import PageWriter
from jaxnn.train import EpochRecord, Run

__all__ = ["Page", "render"]

_MAX_ROWS = 100
_PICKS: dict[Any, tuple[str, Callable[..., Any]]] = {
    "min": ("lowest", min),
    "max": ("highest", max),
}


class Page(PageWriter):
    """Write `report.html` into the run's folder, as an observer.

    Given to `fit_population`, it writes the page of the population; see `PopulationPage`.

    The page is written when the run ends, also by Ctrl-C, and during the run after an epoch, at
    most every 30 seconds, so that a long run can be watched. The file is replaced atomically: a
    browser never sees half of it.

    The best value of a loss or a metric, and its epoch, are told where the metric says whether
    its highest or its lowest value is the best (`config["directions"]`).

    Attributes:
      path: of the file; None before the first run starts.

    >>> import tempfile
    >>> from types import SimpleNamespace as Fake
    >>> folder = Path(tempfile.mkdtemp())
    >>> run = Fake(folder=folder, config={"epochs": 1}, history=Fake(epochs=[]))
    >>> page = Page()
    >>> page.on_start(run)
    >>> page.on_end(run)
    >>> page.path == folder / "report.html" and page.path.exists()
    True
    """

    # matplotlib draws the curves of a run; a population's page draws its own.
    _needs = ("jinja2", "matplotlib")

    def _render(self, run: Run | Population) -> str:
        return render(run)


def render(run: Run | Population) -> str:
    """Render the page of a run as self-contained HTML, without scripts.

    The same run gives the same text. Of a population it is the page of `PopulationPage`, which
    has a script.

    Args:
      run: with `history`, `config` and `folder` (which gives the title, and may be None).

    Raises:
      ImportError: matplotlib or jinja2 is not installed (`pip install "jaxnn[report]"`).
    """
    check_attributes("run", run, ("history", "config", "folder"), "a run, as jaxnn.fit returns it")
    if is_population(run):
        return render_population(run)
    run = cast("Run", run)
    environment = template_environment()
    records = run.history.epochs
    names = ["loss", *metric_names(records)]
    figures = [loss_curve(run.history)]
    figures += [metric_curve(run.history, name) for name in names[1:]]
    environment.filters |= {"label": label, "number": number, "text": setting_text}
    return environment.get_template("run.html").render(
        title=Path(run.folder).resolve().name if run.folder else "Training run",
        facts=_facts(run),
        headlines=[line for name in names if (line := _headline(run, name))],
        figures=[svg(figure) for figure in figures],
        cards=setting_cards(run.config),
        table=_table(records),
    )


def _facts(run: Run) -> list[str]:
    records, config = run.history.epochs, run.config
    done = records[-1].epoch if records else 0
    facts = [f"{done} of {config['epochs']} epochs"]
    seconds = [r.values["seconds"] for r in records if "seconds" in r.values]
    if seconds and math.isfinite(sum(seconds)):
        facts.append(f"{duration(sum(seconds))} of training")
    if config.get("train_examples") is not None:
        facts.append(f"{config['train_examples']:,} training examples")
    if config.get("batch_size") is not None:
        facts.append(f"batches of {config['batch_size']}")
    return facts


def _headline(run: Run, name: str) -> dict[str, Any] | None:
    """Find one quantity's best finite value, its epoch, and its last value, for each split.

    Only the direction of a value, which its metric carries, says which of its values is the best.
    Of a value without a direction the last alone is told.
    """
    splits = []
    for split in reversed(SPLITS):  # validation first, by which models are chosen
        full_name = f"{split}/{name}"
        found = [
            (r.values[full_name], r.epoch) for r in run.history.epochs if full_name in r.values
        ]
        if found:
            word, pick = _PICKS.get(run.config.get("directions", {}).get(full_name), ("", None))
            finite = [pair for pair in found if math.isfinite(pair[0])]
            # Of equal values the first counts, as in early stopping.
            best = pick(finite, key=lambda pair: pair[0]) if pick and finite else None
            splits.append({"split": SPLITS[split], "word": word, "best": best, "last": found[-1]})
    return {"name": name, "splits": splits} if splits else None


def _table(records: Sequence[EpochRecord]) -> dict[str, Any]:
    """Keep all epochs or, of many, every `every`-th one and the last."""
    every = math.ceil(len(records) / _MAX_ROWS)
    names = list(dict.fromkeys(name for record in records for name in record.values))
    kept = [r for r in records if r.epoch % every == 0 or r.epoch == records[-1].epoch]
    rows = [(r.epoch, [r.values.get(name) for name in names]) for r in kept]
    return {"every": every, "names": names, "rows": rows}
