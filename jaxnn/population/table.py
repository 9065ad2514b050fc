"""A population as one table, a row a member."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from jaxnn.population.members.fates import last_epoch
from jaxnn.population.prepare.knobs import knobs_of
from jaxnn.train.record.history import History

__all__ = ["best_values", "latest_values", "member_table"]


def member_table(
    history: History, config: dict[str, Any], knobs: Any, fates: list[str]
) -> np.ndarray:
    """The rows of `Population.table`.

    Args:
      history: of the population.
      config: its settings.
      knobs: pytree of (members,) arrays, those of the start.
      fates: what ended each member.
    """
    members = len(fates)
    columns: dict[str, np.ndarray] = {"member": np.arange(members)}
    columns |= knobs_of(jax.tree.map(np.asarray, knobs))
    columns["epochs"] = np.array([last_epoch(history, i) for i in range(members)])
    columns["ended"] = np.array([str(fate) for fate in fates])
    for name in history.names:
        if name in ("seconds", "examples_per_second"):  # of all members together
            continue
        values = history.series(name)
        columns[name] = latest_values(values)
        direction = config["directions"].get(name)
        if direction is not None:
            columns[f"best {name}"] = best_values(values, direction)
    types = [(name, column.dtype) for name, column in columns.items()]
    table = np.empty(members, types)
    for name, column in columns.items():
        table[name] = column
    return table


def best_values(values: np.ndarray, direction: str) -> np.ndarray:
    """The best value of each member over its epochs, NaN where none was finite.

    >>> best_values(np.array([[1.0, np.nan], [0.5, np.nan]]), "min")
    array([0.5, nan])
    """
    finite = np.isfinite(values)
    worst = np.inf if direction == "min" else -np.inf
    kept = np.where(finite, values, worst)
    best = kept.min(axis=0) if direction == "min" else kept.max(axis=0)
    return np.where(finite.any(axis=0), best, np.nan)


def latest_values(values: np.ndarray) -> np.ndarray:
    """The last value of each member that was measured, NaN where none was.

    Args:
      values: (epochs, members).

    >>> latest_values(np.array([[1.0, 2.0], [0.5, np.nan]]))
    array([0.5, 2. ])
    """
    found = np.full(values.shape[1], math.nan)
    for row in values:
        found = np.where(np.isnan(row), found, row)
    return found
