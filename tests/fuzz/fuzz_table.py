"""The table of valid calls, and the public names that it has to cover."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import fuzz_rows_functions
import fuzz_rows_inputs
import fuzz_rows_layers
import fuzz_rows_measures
import fuzz_rows_models
import fuzz_rows_optimizers
import fuzz_rows_parts
import fuzz_rows_populations
import fuzz_rows_runs
import fuzz_rows_schedules
import fuzz_rows_sets
import fuzz_rows_tools
from flax import struct
from fuzz_outcome import Outcome, Row, look_up, outcome
from fuzz_pool import pool

import jaxnn

PACKAGES = (
    "data",
    "data.augment",
    "inspect",
    "keys",
    "losses",
    "metrics",
    "nn",
    "optim",
    "optim.schedules",
    "population",
    "regularizers",
    "report",
    "scaling",
    "train",
    "train.distributed",
    "tree",
)

MADE_BY_OTHERS = {
    "Population": "fit_population",
    "Populations": "fit_populations",
    "Run": "fit",
    "train.Bundle": "load_bundle",
    "data.TableEncoding": "fit_encoding",
    "nn.LoadReport": "load_pretrained",
    "nn.Summary": "summary",
    "optim.ParameterAverage": "parameter_average",
    "population.ExploitAndExplore": "exploit_and_explore",
    "population.MedianStopping": "median_stopping",
    "population.SuccessiveHalving": "successive_halving",
    "scaling.ScalingRow": "estimate_scaling",
    "scaling.StepCost": "step_cost",
    "train.Encoding": "fit",
    "train.ChunkRecord": "fit",
    "train.EarlyStopping": "early_stopping",
    "train.EpochRecord": "fit",
    "train.Observer": "the user, who writes a subclass",
    "train.Placement": "fit",
}
"""Classes that no user calls, and what makes them. All of their own methods have rows."""


WITHIN = (
    "tree.check_held",
    "tree.check_numbers",
    "tree.check_structure",
    "tree.host_array",
    "tree.outline",
    "tree.path_name",
    "tree.refuse_complex",
)
"""Functions for jaxnn's own modules, which check what they hand on."""


def table(folder: Path) -> list[Row]:
    """All rows; files that some of them read are written into a folder."""
    return [
        *fuzz_rows_functions.rows(),
        *fuzz_rows_layers.rows(),
        *fuzz_rows_models.rows(),
        *fuzz_rows_optimizers.rows(),
        *fuzz_rows_schedules.rows(),
        *fuzz_rows_measures.rows(),
        *fuzz_rows_sets.rows(folder),
        *fuzz_rows_inputs.rows(),
        *fuzz_rows_parts.rows(),
        *fuzz_rows_runs.rows(folder),
        *fuzz_rows_populations.rows(folder),
        *fuzz_rows_tools.rows(folder),
    ]


def public_names() -> list[str]:
    """Every public name that is called: no module, no constant, no type, no tuple of arrays."""
    seen, names = [], []
    for package in ("", *PACKAGES):
        module = look_up(package) if package else jaxnn
        for name in module.__all__:
            thing = getattr(module, name)
            if f"{package}.{name}" in WITHIN:
                continue
            if _is_called(thing) and not any(thing is other for other in seen):
                seen.append(thing)  # `jaxnn.fit` is `jaxnn.train.fit`
                names.append(f"{package}.{name}".lstrip("."))
    return names


def _is_called(thing: Any) -> bool:
    if isinstance(thing, types.ModuleType) or not callable(thing) or get_origin(thing):
        return False
    if not inspect.isclass(thing):
        return inspect.isroutine(thing) or inspect.isclass(type(thing))
    is_tree = issubclass(thing, struct.PyTreeNode)
    is_protocol = getattr(thing, "_is_protocol", False)
    return not (is_tree or is_protocol or (issubclass(thing, tuple) and thing.__name__ != "Keys"))


def cases(rows: list[Row]) -> Iterator[tuple[Row, str, str]]:
    """Every argument of every row with the name of every bad value for it."""
    names = list(pool())
    for row in rows:
        for name, argument in row.arguments.items():
            yield from ((row, name, bad) for bad in names if bad not in argument.skip)


def tried(row: Row, name: str, bad: str) -> Outcome:
    return outcome(row, name, pool()[bad])
