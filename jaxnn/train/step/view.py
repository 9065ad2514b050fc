"""A step as a probe may look at it once more: its objective as a function of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.keys import Keys, stream
from jaxnn.metrics.sums import as_pair
from jaxnn.nn.axis import axis_name, device_index
from jaxnn.nn.taps import listening
from jaxnn.optim.groups import frozen_paths
from jaxnn.recipe import Recipe
from jaxnn.train.step.gradient import split_rows
from jaxnn.train.step.objective import bind, objective_of
from jaxnn.train.step.state import TrainState

__all__ = ["Loss", "View"]

Loss = Callable[[Any], jax.Array]
"""`params -> sum`, the weighted sum of losses of some rows, or a penalty."""


@dataclass(frozen=True)
class View:
    """What a step computed, and what it minimizes as functions of parameters.

    The functions evaluate the batch with the draws of the step, over all micro-batches and
    devices. Each call costs about as much as the part of a step that it repeats.

    Attributes:
      recipe: built for the state's knobs.
      state: before the step.
      batch: pytree of arrays (batch_size, …); in a per-device program the device's share.
      params: parameters before the step.
      stepped: parameters after the step.
      updates: what the parameters changed by, exactly.
      grads: gradient of the mean loss and the penalty, like the parameters.
      loss: () mean loss that was differentiated, without the penalty.
      accumulate: the number of micro-batches.
      place_micro_batches: says where they lie on several devices; None: as they are.
    """

    recipe: Recipe
    state: TrainState
    batch: Any
    params: Any
    stepped: Any
    updates: Any
    grads: Any
    loss: jax.Array
    accumulate: int
    place_micro_batches: Callable[[Any], Any] | None

    @staticmethod
    def of(
        recipe: Recipe,
        state: TrainState,
        batch: Any,
        *,
        stepped: Any,
        grads: Any,
        loss: jax.Array,
        accumulate: int,
        place_micro_batches: Callable[[Any], Any] | None,
    ) -> View:
        """What probes see of a step; what none of them uses is dead code."""
        # Barriers keep the compiler from fusing what probes compute into what trains, which could
        # round the training in another way than without a probe. Each stands alone, so that it
        # keeps nothing alive that is not used.
        apart = jax.lax.optimization_barrier
        params, stepped = apart(state.params), apart(stepped)
        updates = jax.tree.map(jnp.subtract, stepped, params)
        grads, loss = apart(grads), apart(loss)
        return View(
            recipe,
            state,
            batch,
            params,
            stepped,
            updates,
            grads,
            loss,
            accumulate,
            place_micro_batches,
        )

    def key(self, name: str) -> jax.Array:
        """The key of a stream of draws at this step, alike on all devices."""
        return stream(self.state.key, name, self.state.clock)

    def value(self, params: Any) -> jax.Array:
        """The mean loss and the penalty."""
        return self._whole(lambda loss: loss(params))

    def gradient(self, params: Any) -> Any:
        """The gradient of `value`."""
        return self._whole(lambda loss: jax.grad(loss)(params))

    def hessian_product(self, params: Any, vector: Any) -> Any:
        r"""The product $H v$ of the Hessian of `value` with a vector like the parameters."""
        return self._whole(lambda loss: jax.jvp(jax.grad(loss), (params,), (vector,))[1])

    def penalty(self, function: Callable[[Loss], Any]) -> Any:
        """A function of the penalty; of a penalty that is 0 where there is none."""
        regularizer = self.recipe.regularizer
        # The zero depends on the parameters, so that it has derivatives.
        nothing: Loss = lambda params: 0 * jax.tree.leaves(params)[0].sum()  # noqa: E731
        return function(nothing if regularizer is None else regularizer)

    def sum_over(self, function: Callable[[Loss, jax.Array], Any], groups: int) -> Any:
        """Sum a function of groups of rows, over all groups and devices.

        Args:
          function: `(loss, count) -> pytree of arrays`, of a group's sum of losses as a function
            of the parameters, without the penalty, and of its sum of weights.
          groups: the number of groups of consecutive rows, of each device; divides the rows.

        Returns:
          The sums.
        """
        single = groups == 1

        def of_group(number: Any, rows: Any) -> Any:
            loss, count = self._of_rows(rows, None if single else number)
            return function(loss, count)

        with listening(None):  # the sums of taps belong to the training's own pass alone
            if single:
                sums = of_group(None, self.batch)
            else:

                def add(carry: Any, numbered: tuple[jax.Array, Any]) -> tuple[Any, None]:
                    return jax.tree.map(jnp.add, carry, of_group(*numbered)), None

                batches = split_rows(self.batch, groups)
                if self.place_micro_batches is not None and groups == self.accumulate:
                    batches = self.place_micro_batches(batches)
                numbered = (jnp.arange(groups), batches)
                first = jax.tree.map(lambda leaf: leaf[0], numbered)
                zeros = jax.tree.map(
                    lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
                    jax.eval_shape(of_group, *first),
                )
                sums, _ = jax.lax.scan(add, zeros, numbered)
        axis = axis_name()
        return sums if axis is None else jax.lax.psum(sums, axis)

    def _whole(self, function: Callable[[Loss], Any]) -> Any:
        """A linear function of losses, of the mean loss and the penalty."""

        def both(loss: Loss, count: jax.Array) -> tuple[Any, jax.Array]:
            return function(loss), count

        sums, count = self.sum_over(both, self.accumulate)
        count = jnp.where(count > 0, count, 1)
        means = jax.tree.map(lambda leaf: leaf / count.astype(leaf.dtype), sums)
        if self.recipe.regularizer is None:
            return means
        return jax.tree.map(jnp.add, means, self.penalty(function))

    def _of_rows(self, rows: Any, number: Any) -> tuple[Loss, jax.Array]:
        keys = Keys(self.state.key, self.state.clock, number, device_index())
        weight = rows.get("weight") if isinstance(rows, Mapping) else None
        frozen = frozen_paths(self.state.opt_state)
        apply = bind(self.recipe, train=True, weight=weight, frozen=frozen)

        def pair(params: Any) -> tuple[jax.Array, jax.Array]:
            found = objective_of(self.recipe)(apply, params, self.state.model_state, rows, keys)
            return as_pair("loss", found[0])

        return lambda params: pair(params)[0], pair(self.params)[1]
