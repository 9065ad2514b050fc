"""Checks of what a run is asked to do, before its data are looked at and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_function, check_positive_int
from jaxnn.nn.adapters.forms import takes_weight
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build
from jaxnn.train.devices.placement import Placement
from jaxnn.train.loop.program import Program
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.prepare.start import checked_knobs
from jaxnn.train.step.own_state import is_train_state
from jaxnn.train.step.state import TrainState

__all__ = [
    "check_parts",
    "check_ragged_end",
    "check_step",
    "padding_spoils_statistics",
    "takes_pairs",
]


def check_parts(setup: Setup) -> None:
    """Refuse arguments that do not go together.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed.
    """
    recipe, state, step = setup.recipe, setup.state, setup.step
    if recipe is None and (step is None or state is None):
        raise ValueError("recipe may be None only where both step= and state= are given")
    if recipe is None and setup.knobs is not None:
        raise ValueError("knobs go with a make_recipe, got a recipe of None")
    if isinstance(recipe, Recipe) and setup.knobs is not None:
        raise ValueError("knobs go with a make_recipe; a Recipe has its values in it")
    if step is not None:
        check_function("step", step)
    if step is not None and setup.probes:
        raise ValueError("probes look into the step of jaxnn, which step= replaces; give one")
    if recipe is not None and state is not None and not is_train_state(state):
        raise TypeError(
            "state must be a TrainState where a recipe is given (recipe=None goes with a state "
            f"of one's own and its step=), got {state!r}"
        )


def takes_pairs(setup: Setup) -> bool:
    """Whether the batches are those of a loss, so that a pair (x, y) means a dict of x and y.

    A step or an objective of the user's own may have tuples as its batches.
    """
    if setup.recipe is None or setup.step is not None:
        return False
    knobs = jax.tree.map(lambda knob: np.asarray(knob)[()], checked_knobs(setup))
    return build(as_maker(setup.recipe), knobs, np.int32(0)).loss is not None


def check_step(setup: Setup, batch_size: int, placement: Placement | None) -> None:
    """Refuse ways to run that the step cannot take.

    Args:
      setup: what the user gave.
      batch_size: checked.
      placement: of several devices, or None.

    Raises:
      ValueError: naming the argument, its value, and what is allowed.
    """
    accumulate = check_positive_int("accumulate", setup.accumulate)
    if batch_size % accumulate:
        raise ValueError(f"accumulate must divide the batch size, {batch_size}, got {accumulate}")
    if accumulate > 1 and setup.step is not None:
        raise ValueError("accumulate is for the step of jaxnn, which step= replaces; give one")
    if placement is not None and placement.per_device and setup.step is not None:
        raise ValueError(
            "devices='pmap' runs the step of jaxnn, which step= replaces; devices='sharded' runs "
            "both"
        )


def padding_spoils_statistics(make_recipe: MakeRecipe | None, state: TrainState) -> bool:
    """Whether padding rows would reach the running statistics of the model."""
    if make_recipe is None:
        return False
    keeps = bool(jax.tree.leaves(state.model_state))
    return keeps and not takes_weight(build(make_recipe, state.knobs, state.clock).model)


def check_ragged_end(
    program: Program, state: Any, examples: int | None, place: str | None = None
) -> None:
    """Refuse sizes that would give batch normalization a batch of one row.

    Args:
      program: of the run, its batch sizes checked.
      state: the state that the run starts from.
      examples: the number of training examples; None where it is not known.
      place: of a streamed batch of so many examples, for the message; None: of all the data.

    Raises:
      ValueError: naming the batch size and the number of examples.
    """
    ends = "the last batch" if place is None else place
    normalized = isinstance(state.model_state, Mapping) and "batch_stats" in state.model_state
    rows = program.batch_size // program.accumulate
    ragged = (examples or 0) % program.batch_size
    if program.padding_spoils_statistics and ragged % program.accumulate:
        raise ValueError(
            f"accumulate must divide the {ragged} examples of {ends} too, which is not "
            f"padded since the model keeps running statistics, got {program.accumulate}"
        )
    last = ragged // program.accumulate if program.padding_spoils_statistics else ragged % rows
    if not normalized or (rows != 1 and last != 1):
        return
    cut = f" in {program.accumulate} micro-batches" if program.accumulate > 1 else ""
    if place is not None and rows != 1:
        raise ValueError(
            f"batch normalization needs at least two rows in training, and {place} of {examples} "
            f"rows{cut} leaves a single one; drop the last batch of the stream, or choose a batch "
            "size that leaves more"
        )
    raise ValueError(
        "batch normalization needs at least two rows in training, and of "
        f"{examples} examples batch_size={program.batch_size}{cut} leaves a single one; choose "
        "another batch_size"
    )
