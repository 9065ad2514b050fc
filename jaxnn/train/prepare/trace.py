"""A trace of the whole program on shapes: what does not fit is refused, and nothing compiled."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxnn.data.batches import size, steps_in
from jaxnn.train.loop.chunk import train_chunk, train_rows
from jaxnn.train.loop.epoch_end import end_epoch
from jaxnn.train.loop.program import Program
from jaxnn.train.loop.tally import tally_shapes
from jaxnn.train.step.state import TrainState

__all__ = ["trace_program"]


def trace_program(program: Program, state: TrainState, train: Any, val: Any) -> None:
    """Trace a chunk, a ragged batch where there is one, and the end of an epoch.

    Args:
      program: the static part.
      state: that the run starts from.
      train: training data, or a first batch that stands for it.
      val: validation data, or a first batch, or None.
    """
    zero, steps = np.int32(0), steps_in(size(train), program.batch_size)
    order = jax.ShapeDtypeStruct((steps * program.batch_size,), np.int32)
    tally = tally_shapes(program, state, train, steps)
    of_chunk = train_chunk.eval_shape(program, state, tally, train, order, zero, zero, None)
    ragged = size(train) % program.batch_size
    if program.padding_spoils_statistics and ragged:
        rows = np.zeros(ragged, np.int32)
        train_rows.eval_shape(program, *of_chunk, train, rows, zero, None)
    end_epoch.eval_shape(program, *of_chunk, val, None, None)
