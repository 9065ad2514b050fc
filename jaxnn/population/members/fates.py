"""What ended each member of a population, in words."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.record.history import History
from jaxnn.train.step.skipping import nonfinite_names
from jaxnn.train.step.state import TrainState
from jaxnn.tree import path_name

__all__ = ["fate_of", "has_diverged", "last_epoch"]


def has_diverged(fate: str) -> bool:
    """Whether a fate is that of a member whose numbers became NaN or infinite."""
    return fate.startswith("diverged")


def fate_of(make_recipe: MakeRecipe, state: TrainState, history: History, member: int) -> str:
    """Say why a member trains no more, or that it could go on.

    Args:
      make_recipe: of the recipe.
      state: of this member.
      history: of the population.
      member: its id.

    Returns:
      "diverged at step …: …", "stopped after epoch …" where a controller ended it, or
      "trained to epoch …".
    """
    epoch = last_epoch(history, member)
    if not bool(state.control.stop):
        return f"trained to epoch {epoch}"
    knobs = jax.tree.map(np.asarray, state.knobs)
    limit = build(make_recipe, knobs, np.int32(0)).skip_nonfinite
    skips = state.control.skips
    if limit is not None and int(skips.in_a_row) >= limit:
        place = nonfinite_names(state)[int(skips.leaf)]
        return f"diverged at step {int(skips.step)}: NaN or Inf in {place}"
    ruined = [
        path_name(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path((state.params, state.model_state))
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not bool(jnp.isfinite(leaf).all())
    ]
    if ruined:
        _, _, place = ruined[0].partition("/")
        step = _first_bad_step(history, member)
        return f"diverged at step {step}: NaN or Inf in {place}"
    return f"stopped after epoch {epoch}"


def last_epoch(history: History, member: int) -> int:
    """The last epoch in which a member took a step; 0 before the first."""
    for number in range(len(history.epochs) - 1, -1, -1):
        record = history.epochs[number]
        if record.members is None or record.done is None:  # no population's
            continue
        rows = np.flatnonzero(record.members == member)
        if len(rows) and record.done[rows[0]]:
            return record.epoch
    return 0


def _first_bad_step(history: History, member: int) -> int:
    """The first step, from 0, whose loss was not finite, or the last step of the member."""
    step = 0
    for record in history.member(member).epochs:
        losses: Any = record.steps["loss"]
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            return record.step - len(losses) + int(bad[0])
        step = record.step - 1
    return step
