"""What the script of a population's page draws, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from jaxnn.report.population.columns import Column, Columns, ordered_names
from jaxnn.report.population.curves import kept_epochs, packed
from jaxnn.report.population.endings import KINDS, kind_of
from jaxnn.report.population.scales import ZERO_GAP, fitting_scale
from jaxnn.report.population.source import Source
from jaxnn.report.values import label

__all__ = ["page_data", "script_json"]

_MOST_CURVES = 8
_OF_ALL_MEMBERS = ("seconds", "examples_per_second")


def page_data(source: Source, columns: Columns, rows: np.ndarray, leading: str | None) -> Any:
    """Gather what the pictures show.

    Args:
      source: of the page.
      columns: of all members.
      rows: the members that are drawn, (rows,).
      leading: the value of the record whose curves come first, or None.

    Returns:
      What JSON can write.
    """
    history, directions = source.history, source.config["directions"]
    names = [name for name in history.names if name not in _OF_ALL_MEMBERS]
    names = ordered_names(names, directions, leading)[:_MOST_CURVES]
    kept = kept_epochs(len(history.epochs), len(rows) * len(names))
    curves = []
    for name in names:
        values = history.series(name)[kept][:, rows]
        scale = fitting_scale(values, may_be_log=directions.get(name) != "max")
        curves.append(
            {"label": label(name), "scale": asdict(scale), "points": packed(values.T, scale)}
        )
    training = [
        (record.epoch, int(np.count_nonzero(np.asarray(record.done)))) for record in history.epochs
    ]
    return {
        "members": rows.tolist(),
        "columns": [_column(column, rows) for column in columns.columns],
        "curves": curves,
        "epochs": [training[index][0] for index in kept] if training else [],
        "training": training,
        "total": source.config["epochs"],
        "rungs": source.config.get("rungs", []),
        "fates": [source.fates[row] for row in rows],
        "kinds": [kind_of(source.fates[row]) for row in rows],
        "kindNames": KINDS,
        "zeroGap": ZERO_GAP,
    }


def script_json(data: Any) -> str:
    """Write JSON that can stand in a `<script>` element, whatever the names in it.

    >>> script_json({"</script>": 1})
    '{"\\\\u003c/script>":1}'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")  # which alone could end the element


def _column(column: Column, rows: np.ndarray) -> dict[str, Any]:
    return {
        "label": column.label,
        "role": column.role,
        "direction": column.direction,
        "scale": asdict(column.scale),
        "values": _numbers(column.values[rows].tolist()),
    }


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
