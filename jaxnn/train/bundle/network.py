"""A trained network at work: its outputs and metrics for whatever is given, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.batches import in_order, size, steps_in, take
from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.inputs.narrowing import narrowed
from jaxnn.data.streams import as_stream
from jaxnn.data.validate import check_batch
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.bundle.inputs import (
    dense_inputs,
    inputs_in,
    must_be_tried,
    refuse_data,
    trained_on,
)
from jaxnn.train.devices.placement import Placement
from jaxnn.train.devices.transfer import fetch
from jaxnn.train.loop.evaluation import evaluate
from jaxnn.train.prepare.check_data import check_labels, eval_rows
from jaxnn.train.step.objective import inputs_of
from jaxnn.train.step.state import TrainState, member_axes, member_state
from jaxnn.train.step.step import predict_step

__all__ = ["ROWS", "Network"]

ROWS = 512  # of a batch where no gradient is needed and the user does not say


@dataclass(frozen=True, eq=False)
class Network:
    """What is needed to compute a model's outputs and metrics.

    With the state of a population, whose members' leaves are (members, …), outputs and metrics
    have the axis of members first.

    Attributes:
      make_recipe: builds the recipe from `state.knobs`.
      state: with the parameters.
      placement: where the state lies on several devices; None for one device.
      trained: layout of the training inputs, as in `config.json`; None where nobody knows it.
    """

    make_recipe: MakeRecipe
    state: TrainState
    placement: Placement | None
    trained: Any

    def outputs(
        self, given: Any, batch_size: int, encode: Callable[[Any], Any] = lambda raw: raw
    ) -> Any:
        """The model's outputs, NumPy arrays (n, …).

        Args:
          given: inputs, a batch that has them, or a stream of either.
          batch_size: rows computed at once, at most.
          encode: what the inputs go through first.
        """
        rows = check_positive_int("batch_size", batch_size)
        found = [
            self._outputs(name, encode(inputs_in(name, batch, self.trained)), rows)
            for name, batch in _batches("inputs", given, rows)
        ]
        return jax.tree.map(lambda *parts: np.concatenate(parts, self._rows_axis), *found)

    def metrics(self, given: Any, batch_size: int) -> dict[str, Any]:
        """Each metric's value, NumPy arrays.

        Args:
          given: a batch of any number of rows, or a stream of batches.
          batch_size: rows computed at once, at most.
        """
        limit = check_positive_int("batch_size", batch_size)
        sums, values, first = None, {}, 0
        for name, batch in _batches("data", given, limit):
            batch = self._checked_batch(name, batch)
            rows = eval_rows(batch, limit)
            sums, values = evaluate(
                self.make_recipe,
                rows,
                self.placement,
                self.state,
                self._placed(batch),
                np.int32(first),
                sums,
            )
            first += steps_in(size(batch), rows)
        return fetch(values)

    def _outputs(self, name: str, inputs: Any, batch_size: int) -> Any:
        inputs = dense_inputs(name, inputs)
        self._check_inputs(name, inputs)
        n = check_batch(name, {"x": inputs})
        rows = min(n, batch_size)
        data = self._placed({"x": inputs})
        outputs = [
            _predict(self.make_recipe, rows, self.placement, self.state, data, np.int32(index))
            for index in range(steps_in(n, rows))
        ]
        axis, whole = self._rows_axis, slice(None)

        def joined(*parts: np.ndarray) -> np.ndarray:
            return np.concatenate(parts, axis)[(*[whole] * axis, slice(n))]

        return jax.tree.map(joined, *fetch(outputs))

    @property
    def _rows_axis(self) -> int:
        return self.state.control.stop.ndim

    @property
    def _one(self) -> TrainState:
        """The state, or that of the first member."""
        return member_state(self.state, 0) if self._rows_axis else self.state

    def _checked_batch(self, name: str, batch: Any) -> Any:
        one = self._one
        supervised = build(self.make_recipe, one.knobs, one.clock).loss is not None
        batch = narrowed(name, as_batch(name, batch, pairs=supervised))
        check_batch(name, batch)
        self._check_inputs(f"{name}: x" if isinstance(batch, Mapping) else name, inputs_of(batch))
        check_labels(self.make_recipe, one, name, batch)
        return batch

    def _check_inputs(self, name: str, inputs: Any) -> None:
        """Refuse inputs that the model cannot take, naming the shape that it was trained on."""
        for leaf in jax.tree.leaves(inputs):
            if jnp.issubdtype(leaf.dtype, jnp.complexfloating) and not _is_complex(self.trained):
                raise TypeError(f"{name} must be real numbers, as in training, got {leaf.dtype}")
        if not must_be_tried(name, inputs, self.trained):
            return
        row = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), inputs
        )
        try:
            _shapes.eval_shape(self.make_recipe, self._one, row)
        except Exception as error:  # of any type: it is the model's own
            raise ValueError(trained_on(name, inputs, self.trained)) from error

    def _placed(self, data: Any) -> Any:
        data = jax.tree.map(jnp.asarray, data)
        return data if self.placement is None else self.placement.replicate(data)


def _is_complex(trained: Any) -> bool:
    return any(str(leaf).startswith("complex") for leaf in jax.tree.leaves(trained))


# Jitted, so that a second call finds the trace.
_shapes = partial(jax.jit, static_argnums=0)(predict_step)


def _batches(name: str, given: Any, rows: int) -> Iterator[tuple[str, Any]]:
    """What is given with its name, or the batches of a stream with theirs."""
    refuse_data(name, given)
    stream = as_stream(given)
    if stream is None:
        yield name, given
        return
    number = -1
    for number, batch in enumerate(stream.batches(None, 0, rows)):
        yield f"{name}, batch {number}", batch
    if number < 0:
        raise ValueError(f"{name} must hold at least one batch, got an empty stream")


@partial(jax.jit, static_argnums=(0, 1, 2))
def _predict(
    make_recipe: MakeRecipe,
    rows: int,
    placement: Placement | None,
    state: TrainState,
    data: Any,
    index: jax.Array,
) -> Any:
    batch = take(data, in_order(size(data), rows), index, rows)
    if state.control.stop.ndim:
        axes = member_axes(state)
        each = jax.vmap(partial(predict_step, make_recipe), in_axes=(axes, None))
        return each(state, batch["x"])
    if placement is None:
        return predict_step(make_recipe, state, batch["x"])
    outputs = predict_step(make_recipe, state, placement.split(batch)["x"])
    return placement.everywhere(outputs)
