"""What the page of a population is made of, taken from a `Population` or from its folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_attributes, check_path
from jaxnn.population.folder import PopulationFolder
from jaxnn.population.prepare.knobs import knobs_of
from jaxnn.population.table import member_table
from jaxnn.report.population.endings import fates_so_far
from jaxnn.train import History
from jaxnn.train.record.checkpoint import restore_about

__all__ = ["Source", "source_of"]


@dataclass(frozen=True)
class Source:
    """What is known of a population.

    Attributes:
      history, config, folder, fates, lineage: as of a `Population`.
    """

    history: History
    config: dict[str, Any]
    folder: Path | None
    fates: list[str]
    lineage: list[dict[str, Any]]

    @cached_property
    def knobs(self) -> dict[str, np.ndarray]:
        """The members' knobs by their paths, as they were at the end."""
        columns = {name: column.copy() for name, column in knobs_of(self._first_knobs()).items()}
        for event in self.lineage:
            for name, moved in event["knobs"].items():
                for member, value in moved.items():
                    columns[name][int(member)] = value
        return columns

    @cached_property
    def table(self) -> np.ndarray:
        """The rows of `Population.table`."""
        return member_table(self.history, self.config, self._first_knobs(), self.fates)

    def _first_knobs(self) -> Any:
        return jax.tree.map(
            lambda column: np.array(column, np.float64),
            self.config["knobs"],
            is_leaf=lambda node: isinstance(node, list),
        )


def source_of(population: Any) -> Source:
    """Look at a population, or read what its folder says, also while it trains.

    Args:
      population: a `Population`, or the folder of one.

    Raises:
      TypeError: neither of the two.
      ValueError: the folder holds no population, or this is a single run.
    """
    if isinstance(population, (str, os.PathLike)):
        return _stored(PopulationFolder(check_path("population", population)))
    parts = ("history", "config", "folder")
    check_attributes("population", population, parts, "a Population or the folder of one")
    if population.config.get("population") is None:
        raise ValueError(
            "population must be what fit_population returns or its folder, got a single run, "
            "whose page is that of jaxnn.report.Page"
        )
    members = population.config["population"]["members"]
    fates = population.fates or fates_so_far(population.history, members)
    return Source(
        population.history, population.config, population.folder, fates, population.lineage
    )


def _stored(files: PopulationFolder) -> Source:
    files.require_a_run("population")
    config, history = files.config(), files.history()
    about: dict[str, Any] = {}
    if (files.path / "final").exists():
        about = restore_about(files.path / "final")
    fates = about.get("fates") or fates_so_far(history, config["population"]["members"])
    return Source(history, config, files.path, fates, about.get("lineage", []))
