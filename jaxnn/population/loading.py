"""`load_population`: read a population from its folder."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_function
from jaxnn.describe import describe, differences
from jaxnn.population.folder import PopulationFolder
from jaxnn.population.members.state import finished_states, make_states
from jaxnn.population.population import Population
from jaxnn.population.prepare.knobs import member_knobs
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.bundle.encoding import read_encoding
from jaxnn.train.record.layout import from_layout
from jaxnn.train.step.state import TrainState, as_knobs

__all__ = ["load_population"]


def load_population(folder: str | os.PathLike[str], make_recipe: MakeRecipe) -> Population:
    """Load the population that `Population.save`, or `fit_population` with a folder, has written.

    Args:
      folder: of the population.
      make_recipe: that was trained; code is not stored.

    Returns:
      The population, its states equal to the last bit.

    Raises:
      ValueError: there is no population, it has not ended, or it is of another recipe.
    """
    check_function("make_recipe", make_recipe)
    files = PopulationFolder(folder)
    files.require_a_run("folder")
    config = files.config()
    knobs = jax.tree.map(
        lambda column: np.array(column, np.float64),
        config["knobs"],
        is_leaf=lambda node: isinstance(node, list),
    )
    # As the run had them, in which knobs are of JAX's default precision.
    first = jax.tree.map(lambda knob: np.asarray(knob)[()], as_knobs(member_knobs(knobs, 0)))
    here = json.loads(json.dumps(describe(build(make_recipe, first, np.int32(0)))))
    if lines := differences(config["recipe"], here):
        raise ValueError(
            f"make_recipe must be that of the population in {files.path}, got another: "
            + "; ".join(lines[:5])
        )
    rows = from_layout(config["data"]["train"]["layout"])
    members, keys = config["population"]["members"], config["population"]["keys"]
    key = jax.random.wrap_key_data(
        jnp.asarray(config["key"]["data"] if keys is None else keys, jnp.uint32),
        impl=config["key"]["impl"],
    )
    like = jax.eval_shape(partial(_finished_states, make_recipe, members), key, rows, knobs)
    state, about = files.restore_final(like)
    history, encoding = files.history(until=about["epoch"]), read_encoding(files.path)
    return Population(
        state,
        history,
        config,
        files.path,
        make_recipe,
        about["fates"],
        about["lineage"],
        encoding,
    )


def _finished_states(
    make_recipe: MakeRecipe, members: int, key: jax.Array, rows: Any, knobs: Any
) -> TrainState:
    """The states of a population that has ended; only their structure is used."""
    return finished_states(make_recipe, make_states(make_recipe, key, rows, knobs, members))
