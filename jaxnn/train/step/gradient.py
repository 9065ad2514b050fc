"""The gradient of a batch: sums of examples, divided once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.keys import Keys
from jaxnn.metrics.sums import Pair, Sums, as_pair, as_pairs, ratio, total
from jaxnn.nn.axis import axis_name, device_index
from jaxnn.nn.taps import Listener, listening
from jaxnn.optim.groups import frozen_paths
from jaxnn.recipe import Recipe
from jaxnn.train.step.objective import bind, objective_of
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.taps import Found, Reduce, Sink, make_sinks, measuring, of_each_probe

__all__ = ["Gradient", "gradient", "objective_value", "split_rows"]


class Gradient(NamedTuple):
    """What `gradient` returns."""

    grads: Any  # of the mean loss and the penalty, like the parameters
    loss: jax.Array  # () the mean loss
    model_state: Any
    metrics: dict[str, Sums]
    taps: tuple[dict[str, Any], ...]  # for each of `reduces` its sums, by "site/path"


def gradient(
    recipe: Recipe,
    state: TrainState,
    params: Any,
    batch: Any,
    accumulate: int,
    place_micro_batches: Callable[[Any], Any] | None = None,
    reduces: Sequence[Reduce | None] = (),
) -> Gradient:
    r"""The gradient of the mean loss and the penalty.

    $$g = \nabla_\theta \Big[ \frac{\sum_i w_i \ell_i(\theta)}{\sum_i w_i} + R(\theta) \Big]$$

    Args:
      recipe: built for the state's knobs.
      state: holds model state, key and step.
      params: where the gradient is taken.
      batch: pytree of arrays (batch_size, …).
      accumulate: the number of micro-batches, which are computed one after the other to save
        memory. Their gradients and weights are summed, and divided once, so that micro-batches
        of any weight give what the whole batch gives. Draws have the micro-batch in their
        address, and running statistics see one micro-batch at a time.
      place_micro_batches: says where the micro-batches (accumulate, rows, …) lie on several
        devices; None leaves them as they are.
      reduces: for each probe `tap -> sums`, or None where it needs no taps.

    Returns:
      The gradient, the mean loss, the next model state, metrics, and what was summed at taps.
    """
    axis = axis_name()
    whole = accumulate == 1 and axis is None
    if accumulate == 1:
        grads, pair, model_state, metrics, taps = _of_micro_batch(
            recipe, state, params, state.model_state, batch, mean=whole, reduces=reduces
        )
    else:
        grads, pair, model_state, metrics, taps = _of_micro_batches(
            recipe, state, params, batch, accumulate, place_micro_batches, reduces
        )
    if axis is not None:
        grads, pair = jax.lax.psum((grads, pair), axis)
        taps = jax.lax.psum(taps, axis)
        model_state, metrics = _over_devices(axis, model_state, metrics)
    if not whole:
        count = jnp.where(pair[1] > 0, pair[1], 1)
        grads = jax.tree.map(lambda g: g / count.astype(g.dtype), grads)
    metrics = {**metrics, "loss": pair}
    grads = jax.tree.map(jnp.conj, grads)  # JAX's gradient by a complex number is the conjugate
    if recipe.regularizer is not None:
        penalty, of_penalty = jax.value_and_grad(recipe.regularizer)(params)
        grads = jax.tree.map(lambda g, p: g + jnp.conj(p), grads, of_penalty)
        metrics["penalty"] = (penalty.astype(float), jnp.ones((), float))
    of_probes = of_each_probe(taps, len(reduces))
    return Gradient(grads, ratio(pair), model_state, metrics, of_probes)


def split_rows(batch: Any, accumulate: int) -> Any:
    """The micro-batches of a batch, each leaf (accumulate, rows, …)."""

    def split(leaf: jax.Array) -> jax.Array:
        if leaf.shape[0] % accumulate:
            raise ValueError(
                f"accumulate must divide the {leaf.shape[0]} rows of a batch, got {accumulate}"
            )
        return leaf.reshape(accumulate, leaf.shape[0] // accumulate, *leaf.shape[1:])

    return jax.tree.map(split, batch)


def objective_value(recipe: Recipe, state: TrainState, batch: Any) -> Callable[[Any], jax.Array]:
    """What a step minimizes, as a function of the parameters: for optimizers with a line search.

    It is the mean loss of the batch and the penalty, with the draws of a step without
    micro-batches, at whose parameters its gradient is that of `gradient`.
    """
    keys = Keys(state.key, state.clock, None, device_index())
    weight = batch.get("weight") if isinstance(batch, Mapping) else None
    apply = bind(recipe, train=True, weight=weight, frozen=frozen_paths(state.opt_state))

    # A line search of Optax's hands on what it does not know, and refuses what nobody takes.
    def value(params: Any, rate_scale: Any = None) -> jax.Array:
        del rate_scale
        with listening(None):
            pair, _, _ = objective_of(recipe)(apply, params, state.model_state, batch, keys)
        mean = ratio(as_pair("loss", pair))
        return mean if recipe.regularizer is None else mean + recipe.regularizer(params)

    return value


_Part = tuple[Any, Pair, Any, dict[str, Sums], dict[str, Sink]]
"""Gradient, (sum, count) of the loss, model state, metrics and taps of a (micro-)batch."""


def _over_devices(axis: str, model_state: Any, metrics: dict[str, Sums]) -> tuple[Any, Any]:
    """Model state and metrics of all devices together, alike on each."""

    def mean(leaf: jax.Array) -> jax.Array:
        return jax.lax.pmean(leaf, axis) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf

    metrics = {name: total(jax.lax.all_gather(of, axis)) for name, of in metrics.items()}
    return jax.tree.map(mean, model_state), metrics


def _of_micro_batch(
    recipe: Recipe,
    state: TrainState,
    params: Any,
    model_state: Any,
    batch: Any,
    number: Any = None,
    *,
    mean: bool = False,
    reduces: Sequence[Reduce | None] = (),
) -> _Part:
    """The gradient of the sum over one micro-batch, or of the mean."""
    keys = Keys(state.key, state.clock, number, device_index())
    weight = batch.get("weight") if isinstance(batch, Mapping) else None
    frozen = frozen_paths(state.opt_state)
    objective = objective_of(recipe)
    apply = bind(recipe, train=True, weight=weight, frozen=frozen)

    def run(listener: Listener | None, params: Any) -> tuple[Pair, Any, Mapping[str, Any]]:
        with listening(listener):
            return objective(apply, params, model_state, batch, keys)

    found, scale = Found(), 1.0
    if any(reduce is not None for reduce in reduces):
        found, scale = _found_taps(run, params, mean=mean)

    def loss(params: Any, sinks: dict[str, Sink]) -> tuple[jax.Array, Any]:
        listener = measuring(found, reduces, sinks, weight, scale) if sinks else None
        pair, new_state, metrics = run(listener, params)
        value = ratio(pair) if mean else pair[0]
        return value, (new_state, as_pair("loss", pair), as_pairs(metrics))

    (grads, taps), (model_state, pair, metrics) = jax.grad(loss, argnums=(0, 1), has_aux=True)(
        params, make_sinks(found, reduces)
    )
    return grads, pair, model_state, metrics, taps


def _found_taps(
    run: Callable[[Listener | None, Any], tuple[Pair, Any, Any]], params: Any, *, mean: bool
) -> tuple[Found, jax.Array | float]:
    """The taps of the model, and the factor from the loss that is differentiated to the sum.

    The taps are found by a trace. Of the mean loss the trace also gives the count by which the
    sum is divided; what else it computes is dead code, which the compiler removes.
    """
    found = Found()
    if not mean:
        jax.eval_shape(partial(run, found), params)
        return found, 1.0
    count = run(found, params)[0][1]
    return found, jnp.where(count > 0, count, 1)


def _of_micro_batches(
    recipe: Recipe,
    state: TrainState,
    params: Any,
    batch: Any,
    accumulate: int,
    place: Callable[[Any], Any] | None,
    reduces: Sequence[Reduce | None],
) -> _Part:
    micro_batches = split_rows(batch, accumulate)
    if place is not None:
        micro_batches = place(micro_batches)

    def add(carry: tuple[Any, Any], numbered: tuple[jax.Array, Any]) -> tuple[Any, Any]:
        sums, model_state = carry
        number, micro_batch = numbered
        grads, pair, model_state, metrics, taps = _of_micro_batch(
            recipe, state, params, model_state, micro_batch, number, reduces=reduces
        )
        return (jax.tree.map(jnp.add, sums, grads), model_state), (pair, metrics, taps)

    start = (jax.tree.map(jnp.zeros_like, params), state.model_state)
    (sums, model_state), (pairs, stacked, taps) = jax.lax.scan(
        add, start, (jnp.arange(accumulate), micro_batches)
    )
    metrics = {name: total(of) for name, of in stacked.items()}
    return sums, total(pairs), model_state, metrics, jax.tree.map(lambda leaf: leaf.sum(0), taps)
