"""What the page of a population tells in words: facts, the best members, endings and copies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxnn.population.members.fates import has_diverged
from jaxnn.population.table import best_values
from jaxnn.report.population.columns import Column, Columns
from jaxnn.report.population.endings import KINDS, count_endings, kind_of
from jaxnn.report.population.source import Source
from jaxnn.report.values import duration, label, leading_name, number

__all__ = ["copies", "endings", "facts", "headlines", "most_telling", "ranked"]

_MOST_NAMED = 12  # members, in a row of a table
_MOST_KNOBS = 6
_MOST_GROUPS = 10


def facts(source: Source) -> list[str]:
    """Size and cost of the population, each in a few words."""
    records, config = source.history.epochs, source.config
    done = records[-1].epoch if records else 0
    told = [f"{len(source.fates):,} members", f"{done} of {config['epochs']} epochs"]
    # One time of all members together stands in the row of each.
    seconds = [np.max(r.values["seconds"]) for r in records if "seconds" in r.values]
    if seconds and math.isfinite(sum(seconds)):
        told.append(f"{duration(float(sum(seconds)))} of training")
    trained = sum(int(np.count_nonzero(np.asarray(record.done))) for record in records)
    told.append(f"{trained:,} member-epochs")
    if config.get("train_examples") is not None:
        told.append(f"{config['train_examples']:,} training examples")
    if config.get("batch_size") is not None:
        told.append(f"batches of {config['batch_size']}")
    return told


def headlines(source: Source, columns: Columns) -> list[dict[str, Any]]:
    """The best member by the first metric and by the loss, and how many ended in which way."""
    directions, names = source.config["directions"], source.history.names
    leading = leading_name(names, directions)
    loss = leading_name([name for name in names if name.endswith("/loss")], directions)
    told = []
    for name in dict.fromkeys(name for name in (leading, loss) if name is not None):
        direction = directions[name]
        values = source.history.series(name)
        scores = best_values(values, direction)
        scores[[has_diverged(fate) for fate in source.fates]] = np.nan
        if not np.isfinite(scores).any():
            continue
        member = int(np.nanargmin(scores) if direction == "min" else np.nanargmax(scores))
        epoch = source.history.epochs[int(np.argmax(values[:, member] == scores[member]))].epoch
        knobs = [column for column in columns.columns if column.role == "knob"]
        shown = [f"{knob.name} {knob.text(member)}" for knob in knobs[:_MOST_KNOBS]]
        more = ["…"] if len(knobs) > _MOST_KNOBS else []
        told.append(
            {
                "name": f"best {label(name)}",
                "big": number(float(scores[member])),
                "lines": [f"member {member}, epoch {epoch}", ", ".join(shown + more)],
            }
        )
    first, *others = [f"{count:,} {how}" for how, count in count_endings(source.fates).items()]
    told.append({"name": "members", "big": f"{len(source.fates):,}", "lines": [first, *others]})
    return told


def endings(source: Source) -> list[tuple[int, list[int], str]]:
    """For each epoch at which members ended: its number, how many of each kind, and who."""
    found: dict[int, list[int]] = {}
    ends = source.table["epochs"].tolist()
    for member, (fate, epoch) in enumerate(zip(source.fates, ends, strict=True)):
        if kind_of(fate):  # not of those that trained on
            found.setdefault(epoch, []).append(member)
    told = []
    for epoch in sorted(found):
        kinds = [kind_of(source.fates[member]) for member in found[epoch]]
        counts = [kinds.count(kind) for kind in range(1, len(KINDS))]
        told.append((epoch, counts, _listed(list(map(str, found[epoch])))))
    return told


def copies(source: Source) -> list[tuple[int, int, str]]:
    """For each epoch behind which members copied others: its number, how many, and who whom."""
    return [
        (
            event["epoch"],
            len(event["parents"]),
            _listed([f"{member} copied {parent}" for member, parent in event["parents"].items()]),
        )
        for event in source.lineage
    ]


def ranked(source: Source, outcome: Column | None) -> np.ndarray:
    """The members in the order of an outcome, the best first, then those without one."""
    members = np.arange(len(source.fates))
    if outcome is None:
        return members
    values = outcome.values if outcome.direction != "max" else -outcome.values
    return members[np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")]


def most_telling(columns: Columns, outcome: Column | None) -> Column | None:
    """Find the knob whose neighbouring values have the most alike outcomes.

    For each knob the members are cut into groups of neighbouring values; the fraction of the
    variance of the outcome's ranks that lies between the groups is compared.

    Args:
      columns: of the page.
      outcome: one of them, or None.
    """
    knobs = [column for column in columns.columns if column.role == "knob"]
    if outcome is None or not knobs:
        return knobs[0] if knobs else None
    there = np.isfinite(outcome.values)
    groups = min(_MOST_GROUPS, int(there.sum()) // 3)
    if groups < 2:
        return knobs[0]
    ranks = np.argsort(np.argsort(outcome.values[there], kind="stable"))
    return max(knobs, key=lambda knob: _between(knob.values[there], ranks, groups))


def _between(values: np.ndarray, ranks: np.ndarray, groups: int) -> float:
    means = [
        part.mean() for part in np.array_split(ranks[np.argsort(values, kind="stable")], groups)
    ]
    return float(np.var(means))


def _listed(items: list[str]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(items[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
