"""Write a run as one page: its numbers, its curves, and every setting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxnn.arguments import check_attributes, missing_extra
from jaxnn.report.figures import loss_curve, metric_curve
from jaxnn.report.style import svg
from jaxnn.report.templates import replace_file, template_environment
from jaxnn.report.values import SPLITS, duration, label, metric_names, number
from jaxnn.train import EpochRecord, Observer, Run

__all__ = ["Page", "render"]

_SECONDS_BETWEEN_WRITES = 30.0
_MAX_ROWS = 100
_PICKS: dict[Any, tuple[str, Callable[..., Any]]] = {
    "min": ("lowest", min),
    "max": ("highest", max),
}
# Each of these settings has its own card.
_CARDS = ("recipe", "knobs", "settings", "versions", "devices")


class Page(Observer):
    """Write `report.html` into the run's folder, as an observer.

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

    path: Path | None = None
    reads_state = False

    def on_start(self, run: Run) -> None:
        """Check before training that the page can be written after it.

        Raises:
          ImportError: matplotlib or jinja2 is not installed.
          ValueError: the run has no folder.
        """
        # Only looked for: importing them now would delay the start of the run by half a second.
        if any(find_spec(name) is None for name in ("jinja2", "matplotlib")):
            raise missing_extra("the report page", "report")
        if run.folder is None:
            raise ValueError(
                "folder must be given for a report page to be written into: "
                "pass folder= to fit, got None"
            )
        self.path = Path(run.folder) / "report.html"
        self._run = run
        self._written_at = time.monotonic()

    def on_epoch(self, record: EpochRecord) -> None:
        """Write the page, unless that was done less than 30 seconds ago."""
        if time.monotonic() - self._written_at >= _SECONDS_BETWEEN_WRITES:
            self._write(self._run)

    def on_end(self, run: Run) -> None:
        """Write the final page."""
        self._write(run)

    def _write(self, run: Run) -> None:
        assert self.path is not None
        replace_file(self.path, render(run))
        self._written_at = time.monotonic()


def render(run: Run) -> str:
    """Render the page of a run as self-contained HTML, without scripts.

    The same run gives the same text.

    Args:
      run: with `history`, `config` and `folder` (which gives the title, and may be None).

    Raises:
      ImportError: matplotlib or jinja2 is not installed (`pip install "jaxnn[report]"`).
    """
    check_attributes("run", run, ("history", "config", "folder"), "a run, as jaxnn.fit returns it")
    environment = template_environment()
    records = run.history.epochs
    names = ["loss", *metric_names(records)]
    figures = [loss_curve(run.history)]
    figures += [metric_curve(run.history, name) for name in names[1:]]
    environment.filters |= {"label": label, "number": number, "text": _text}
    return environment.get_template("template.html").render(
        title=Path(run.folder).resolve().name if run.folder else "Training run",
        facts=_facts(run),
        headlines=[line for name in names if (line := _headline(run, name))],
        figures=[svg(figure) for figure in figures],
        cards=_cards(run.config),
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


def _cards(config: dict[str, Any]) -> list[tuple[str, Any]]:
    cards = [(name, config.get(name)) for name in _CARDS]
    cards.insert(1, ("training", {n: item for n, item in config.items() if n not in _CARDS}))
    return [(name, _joined(settings)) for name, settings in cards if settings]


def _joined(value: Any) -> Any:
    """Join names that hold nothing but one other name to a single name.

    Optax wraps each part of an optimizer in functions of one argument. One level of the page
    for each of them would push the settings that matter out of sight.
    """
    if isinstance(value, (list, tuple)):
        return [_joined(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    joined = {}
    for name, item in value.items():
        while isinstance(item, Mapping) and len(item) == 1:
            ((inner, item),) = item.items()
            name = f"{name} › {inner}"
        joined[name] = _joined(item)
    return joined


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)) and value:
        return ", ".join(map(str, value))
    return str(value)
