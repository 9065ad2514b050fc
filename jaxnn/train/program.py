"""The static part of a run: what its compiled functions are specialized to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import size, steps_in, take, with_weight
from jaxnn.metrics import Sums, as_pairs
from jaxnn.recipe import MakeRecipe
from jaxnn.train.placement import Placement
from jaxnn.train.protocols import Probe, StepTrace
from jaxnn.train.step import traced_step

__all__ = ["Program", "Step"]

Step = Callable[[Any, Any], tuple[Any, Mapping[str, Any]]]


_AHEAD_BYTES = 2**21  # that fit into a cache


@dataclass(frozen=True)
class Program:
    """The static part of a run: what the compiled functions are specialized to.

    Attributes:
      make_recipe: None where the state is the user's own.
      step: the user's own step, or None for `train_step`.
      probes: see `jaxnn.train.protocols`.
      batch_size: rows of a training batch.
      accumulate: parts in which it is taken.
      eval_batch_size: rows of a batch in evaluation.
      unpadded: whether a ragged last batch is run in a shape of its own, since the model
        would see padding in its running statistics.
      placement: of several devices, or None for one.
    """

    make_recipe: MakeRecipe | None
    step: Step | None
    probes: tuple[Probe, ...]
    batch_size: int
    accumulate: int
    eval_batch_size: int
    unpadded: bool = False
    placement: Placement | None = None

    @property
    def per_device(self) -> bool:
        """Whether the steps run as a program of each device's own."""
        return self.placement is not None and self.placement.per_device

    def run_step(self, state: Any, batch: Any) -> tuple[Any, dict[str, Sums], StepTrace | None]:
        """One step by the user's own function or by ours."""
        state = self.hold(state)  # else the compiler may divide more, and gather it for each use
        with nullcontext() if self.placement is None else self.placement.current():
            if self.step is None:
                assert self.make_recipe is not None  # refused at the boundary
                state, metrics, trace = traced_step(self.make_recipe, state, batch, self.accumulate)
            else:
                state, metrics = self.step(state, batch)
                metrics, trace = as_pairs(metrics), None
        return self.hold(state), metrics, trace

    def steps_ahead(self, data: Any) -> int:
        """Steps whose rows are gathered at once.

        XLA spreads even a small gather over the cores of a CPU, which wake for each one, and that
        takes longer than the gather does. So there it is done for some steps together.
        """
        if self.placement is not None or jax.default_backend() != "cpu":
            return 1
        row_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(data))
        step_bytes = row_bytes / size(data) * self.batch_size
        most = steps_in(size(data), self.batch_size)
        return int(np.clip(_AHEAD_BYTES / max(step_bytes, 1), 1, most))

    def take(self, data: Any, order: jax.Array, index: jax.Array) -> Any:
        """A training batch: all of it, or of a device's own program its share."""
        share = partial(self._share, data) if self.per_device else None
        return self._split(take(data, order, index, self.batch_size, share))

    def take_rows(self, data: Any, rows: jax.Array) -> Any:
        """A training batch of these rows, none of them padding."""
        real = jnp.ones(rows.shape, bool)
        if self.per_device:
            rows, real = self._share(data, rows), self._share(data, real)
        return self._split(with_weight(jax.tree.map(lambda leaf: leaf[rows], data), real))

    def hold(self, state: Any) -> Any:
        """A new state, kept where the old one lay."""
        if self.placement is None or self.per_device:
            return state
        return self.placement.hold(state)

    def _split(self, batch: Any) -> Any:
        # A batch that is taken in parts is split where it is parted.
        if self.placement is None or self.per_device or self.accumulate > 1:
            return batch
        return self.placement.split(batch)

    def _share(self, data: Any, values: jax.Array) -> jax.Array:
        assert self.placement is not None
        rows, devices = values.shape[0] // self.accumulate, self.placement.count
        if rows % devices and (self.unpadded or not isinstance(data, Mapping)):
            why = (
                "the model keeps running statistics and does not take weight="
                if self.unpadded
                else "a batch that is no dict has no place for weights"
            )
            raise ValueError(
                f"devices='pmap' fills a batch up with rows of weight 0, but {why}: batch_size, "
                f"and a ragged last batch, must divide by the {devices} devices, got {rows} rows; "
                "devices='sharded' takes any number"
            )
        return self.placement.share(values, self.accumulate)
