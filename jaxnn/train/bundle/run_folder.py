"""A bundle's facts and arrays, taken from a run or from the folder of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnn.describe import describe
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.bundle.variables import variables_of
from jaxnn.train.devices.transfer import fetch
from jaxnn.train.record.folder import RunFolder
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import evaluated_variables
from jaxnn.tree import path_name

__all__ = ["facts_of", "inputs_layout", "run_facts"]

_RECIPE = "jaxnn.recipe.Recipe"


def facts_of(
    config: Mapping[str, Any], make_recipe: MakeRecipe, state: TrainState
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a bundle of this run holds: its facts, and the arrays that it predicts with.

    Raises:
      ValueError: two arrays of one path.
    """
    numbers = jax.tree.map(lambda knob: np.asarray(knob)[()], fetch(state.knobs))
    recipe = build(make_recipe, numbers, np.int32(fetch(state.clock)))
    variables = fetch(variables_of(*evaluated_variables(recipe, state)))
    flat = jax.tree_util.tree_leaves_with_path(variables)
    arrays = {path_name(path): np.asarray(leaf) for path, leaf in flat}
    if len(arrays) != len(flat):
        raise ValueError("the model must have arrays of different paths, to be named by them")
    return _facts(describe(recipe)[_RECIPE], config), arrays


def run_facts(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The same from the folder of a run that has ended, without its code.

    Raises:
      ValueError: no such run, or one that trained a state of its own.
    """
    files = RunFolder(folder)
    if not files.holds_a_run():
        raise ValueError(f"folder must hold a bundle or a run, got {folder}")
    try:
        config = files.config()
        recipe = None if config["recipe"] is None else config["recipe"][_RECIPE]
        facts = None if recipe is None else _facts(recipe, config)
        averages = recipe is not None and _uses_average(recipe["average"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder} has a config.json of something else: {error!r}") from error
    if facts is None:
        raise ValueError(f"folder must be of a run with a recipe, got {folder}")
    leaves = files.restore_arrays()
    current = {**_below("params/", leaves, "params/"), **_below("model_state/", leaves, "")}
    if averages:
        found = {
            **_below("averaged/params/", leaves, "params/"),
            **_below("averaged/model_state/", leaves, ""),
        }
        current = {name: found[name].astype(leaf.dtype) for name, leaf in current.items()}
    return facts, current


def inputs_layout(config: Mapping[str, Any]) -> Any:
    """The layout of the training inputs; None of a run that has no config."""
    train = config.get("data", {}).get("train")
    batch = train and train["layout"]
    return batch["x"] if isinstance(batch, dict) and "x" in batch else batch


def _facts(recipe: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": recipe["model"],
        "loss": recipe["loss"],
        "rngs": list(recipe["rngs"]),
        "compute_dtype": recipe["compute_dtype"],
        "key": config["key"],
        "inputs": inputs_layout(config),
        "versions": config["versions"],
    }


def _uses_average(described: Any) -> bool:
    return isinstance(described, Mapping) and bool(next(iter(described.values()))["evaluate"])


def _below(prefix: str, leaves: Mapping[str, np.ndarray], new: str) -> dict[str, np.ndarray]:
    return {
        new + name.removeprefix(prefix): leaf
        for name, leaf in leaves.items()
        if name.startswith(prefix)
    }
