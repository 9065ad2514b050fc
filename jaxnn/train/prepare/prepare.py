"""The boundary of training: check, build, describe and trace a run before it is compiled."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxnn.data import Data
from jaxnn.data.batches import size
from jaxnn.data.streams import Stream
from jaxnn.describe import describe
from jaxnn.keys import as_key
from jaxnn.recipe import as_maker, build
from jaxnn.train.devices.choose import place_on, unused_accelerator
from jaxnn.train.devices.placement import Placement
from jaxnn.train.loop.cadence import Cadence, cadence
from jaxnn.train.loop.feed.source import OnDevice, Source, Streamed
from jaxnn.train.loop.program import Program
from jaxnn.train.prepare.check_data import (
    check_labels,
    check_sizes,
    check_streamed,
    sampled,
)
from jaxnn.train.prepare.check_program import (
    check_parts,
    check_ragged_end,
    check_step,
    padding_spoils_statistics,
    takes_pairs,
)
from jaxnn.train.prepare.description import config_of
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.prepare.start import checked_knobs, start_state
from jaxnn.train.prepare.trace import trace_program
from jaxnn.train.step.own_state import wrap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.static_probe import as_static

__all__ = ["Prepared", "prepare"]


@dataclass
class Prepared:
    """A run that was found in order, and has not begun."""

    program: Program
    state: TrainState
    train: Source
    val: Source | None
    key: jax.Array
    config: dict[str, Any]
    cadence: Cadence
    sample: Any  # the training data, or of a stream a first batch, on the host


def prepare(setup: Setup, spread: Placement | None = None) -> Prepared:
    """Check the arguments of a run, and make its first state; see `jaxnn.fit`.

    Args:
      setup: what the user gave.
      spread: of a population, the devices that its members are spread over, each of which holds
        all of the data; None: one.

    Raises:
      ValueError, TypeError: naming the argument, its value, and what is allowed.
    """
    if advice := unused_accelerator():
        warnings.warn(advice, RuntimeWarning, stacklevel=3)  # where `fit` was called
    key, data = as_key(setup.key), setup.data
    train, val = (data.train, data.val) if isinstance(data, Data) else (data, None)
    check_parts(setup)
    pairs = takes_pairs(setup)
    # Of streamed data a first batch stands for the rest; what follows is checked as it comes.
    train_stream, train = sampled("train", train, setup.batch_size, pairs, setup.steps_per_epoch)
    val_stream, val = sampled("val", val, setup.batch_size, pairs)
    batch_size, eval_rows = check_sizes(
        train, val, setup.batch_size, setup.eval_batch_size, train_stream, val_stream
    )
    evaluated = cadence(setup.evaluate_every_epochs, setup.evaluate_every_steps)
    probes = tuple(map(as_static, setup.probes))
    placement = place_on(setup.devices, setup.rules, setup.zero1)
    check_step(setup, batch_size, placement)
    make_recipe = None if setup.recipe is None else as_maker(setup.recipe)
    step, description = setup.step, None
    if make_recipe is None:
        assert step is not None  # refused by check_parts
        step, state = wrap(step, setup.state, key)
    else:
        knobs = checked_knobs(setup)
        # Built from plain numbers, so that every factory checks the range of what it is given.
        numbers = jax.tree.map(lambda knob: np.asarray(knob)[()], knobs)
        description = describe(build(make_recipe, numbers, np.int32(0)))
        state = start_state(make_recipe, key, train, knobs, setup.state)
        for name, part in (("train", train), ("val", val)):
            if part is not None:
                check_labels(make_recipe, state, name, part)
    if placement is not None:
        placement.check(state)
    program = Program(
        make_recipe,
        step,
        probes,
        batch_size,
        setup.accumulate,
        eval_rows,
        padding_spoils_statistics(make_recipe, state),
        placement,
    )
    examples = size(train) if train_stream is None else train_stream.examples
    check_ragged_end(program, state, examples)
    steps = None if train_stream is None else train_stream.steps_per_epoch
    config = config_of(setup, program, state, description, key, train, val, examples, steps)
    trace_program(program, state, train, val)

    def check_rows(place: str, rows: int) -> None:
        if place.startswith("train"):  # evaluation normalizes by running statistics
            check_ragged_end(program, state, rows, place)

    def source(name: str, part: Any, stream: Stream | None, rows: int, apart: bool) -> Source:
        if stream is None:
            return OnDevice(part, spread or placement, rows, apart)
        check = partial(check_streamed, make_recipe, state, name, part, pairs, check_rows)
        return Streamed(stream, check, spread or placement, rows, apart)

    apart = program.padding_spoils_statistics
    return Prepared(
        program,
        state,
        source("train", train, train_stream, batch_size, apart),
        None if val is None else source("val", val, val_stream, eval_rows, False),
        key,
        config,
        evaluated,
        train,
    )
