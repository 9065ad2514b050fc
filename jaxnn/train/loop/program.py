"""The static part of a run: what its compiled functions are specialized to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxnn.data.batches import size, steps_in, take, with_weight
from jaxnn.metrics.sums import Sums, as_pairs
from jaxnn.recipe import MakeRecipe
from jaxnn.train.devices.placement import Placement
from jaxnn.train.step.own_state import Step
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.step import traced_step
from jaxnn.train.step.trace import Probe, StepTrace

__all__ = ["Program"]


_AHEAD_BYTES = 2**21  # of gathered rows, which fit into a cache


@dataclass(frozen=True)
class Program:
    """The static part of a run: what the compiled functions are specialized to.

    Attributes:
      make_recipe: builds the recipe; None where step and state are the user's own.
      step: the user's own step, or None for `train_step`.
      probes: diagnostics computed in the step; see `jaxnn.train.Probe`.
      batch_size: rows of a training batch.
      accumulate: micro-batches of a training batch.
      eval_batch_size: rows of a batch in evaluation.
      padding_spoils_statistics: whether the model would see padding in its running statistics.
        Then a ragged last batch is run in a shape of its own.
      placement: where arrays lie on several devices; None for one device.
      width: members of a cohort, in a population; None for a single run.
      mesh: of the devices that a population's cohorts are spread over; None for one device.
      own_batches: whether each member of a population has an order of batches of its own, by its
        own key. An order is then the number of the epoch.
    """

    make_recipe: MakeRecipe | None
    step: Step | None
    probes: tuple[Probe, ...]
    batch_size: int
    accumulate: int
    eval_batch_size: int
    padding_spoils_statistics: bool = False
    placement: Placement | None = None
    width: int | None = None
    mesh: Mesh | None = None
    own_batches: bool = False

    @property
    def per_device(self) -> bool:
        """Whether each device runs a program of its own on its share of the batch."""
        return self.placement is not None and self.placement.per_device

    def run_step(
        self, state: TrainState, batch: Any
    ) -> tuple[TrainState, dict[str, Sums], tuple[StepTrace, ...]]:
        """Take one step of one member, by the user's own step or by ours.

        Returns:
          The state, the metrics, and for each probe what it may see.
        """
        state = self.constrain(state)  # else the compiler may divide more, and gather at each use
        with nullcontext() if self.placement is None else self.placement.current():
            if self.step is None:
                assert self.make_recipe is not None  # refused at the boundary
                state, metrics, traces = traced_step(
                    self.make_recipe,
                    state,
                    batch,
                    self.accumulate,
                    probes=self.probes,
                    place_micro_batches=self._place_micro_batches(),
                )
            else:
                state, metrics = self.step(state, batch)
                metrics, traces = as_pairs(metrics), ()
        return self.constrain(state), metrics, traces

    def steps_ahead(self, data: Any) -> int:
        """The number of steps whose rows are gathered at once.

        XLA spreads even a small gather over the cores of a CPU. Waking them takes longer than the
        gather itself, so on a CPU one gather serves several steps. With jaxlib 0.10 the benchmark
        row 64-32-32-10 takes 1.2 times as long without it, and 784-10 takes 1.05 to 1.13 times.
        """
        if self.placement is not None or jax.default_backend() != "cpu":
            return 1
        row_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(data))
        step_bytes = row_bytes / size(data) * self.batch_size
        most = steps_in(size(data), self.batch_size)
        return int(np.clip(_AHEAD_BYTES / max(step_bytes, 1), 1, most))

    def take(self, data: Any, order: jax.Array, index: jax.Array) -> Any:
        """Training batch number `index`: all of it, or in a per-device program its share."""
        share = partial(self._share, data) if self.per_device else None
        return self._split(take(data, order, index, self.batch_size, share))

    def take_rows(self, data: Any, rows: jax.Array) -> Any:
        """A training batch of these rows, none of them padding."""
        real = jnp.ones(rows.shape, bool)
        if self.per_device:
            rows, real = self._share(data, rows), self._share(data, real)
        return self._split(with_weight(jax.tree.map(lambda leaf: leaf[rows], data), real))

    def constrain(self, state: Any) -> Any:
        """Constrain a state to its declared sharding."""
        if self.placement is None or self.per_device:
            return state
        return self.placement.constrain(state)

    def replicate(self, tree: Any) -> Any:
        """Constrain small results to lie whole on every device."""
        if self.placement is None or self.per_device:
            return tree
        return self.placement.everywhere(tree)

    def _place_micro_batches(self) -> Any:
        if self.placement is None or self.per_device:
            return None
        return partial(self.placement.split, axis=1)

    def _split(self, batch: Any) -> Any:
        # A batch that is accumulated is split over the devices once it is in micro-batches.
        if self.placement is None or self.per_device or self.accumulate > 1:
            return batch
        return self.placement.split(batch)

    def _share(self, data: Any, values: jax.Array) -> jax.Array:
        assert self.placement is not None
        rows, devices = values.shape[0] // self.accumulate, self.placement.count
        if rows % devices and (self.padding_spoils_statistics or not isinstance(data, Mapping)):
            why = (
                "the model keeps running statistics and does not take weight="
                if self.padding_spoils_statistics
                else "a batch that is no dict has no place for weights"
            )
            raise ValueError(
                f"devices='pmap' fills a batch up with rows of weight 0, but {why}: batch_size, "
                f"and a ragged last batch, must divide by the {devices} devices, got {rows} rows; "
                "devices='sharded' takes any number"
            )
        return self.placement.share(values, self.accumulate)
