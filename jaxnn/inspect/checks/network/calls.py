"""The compiled functions that several checks of the network call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.network.quiet import quiet_maker
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.keys import Keys, stream
from jaxnn.losses.checks import counted
from jaxnn.metrics.sums import as_pair, ratio, weighted
from jaxnn.recipe import build
from jaxnn.train.step.objective import bind, objective_of
from jaxnn.train.step.step import predict_step

__all__ = ["difference", "loss_of", "mean_loss", "outputs_of"]


def outputs_of(subject: Subject) -> Callable[[Any, Any], Any]:
    """Return the compiled `(state, inputs) -> outputs` in evaluation."""
    return subject.once(_outputs_of)


def _outputs_of(subject: Subject) -> Callable[[Any, Any], Any]:
    if subject.draws_in_evaluation:
        raise NotJudged("the model cannot be evaluated, see the check of evaluation")
    return compiled(lambda state, inputs: predict_step(subject.maker, state, inputs))


def mean_loss(subject: Subject) -> Callable[[Any, Any], jax.Array]:
    """Return the compiled `(state, batch) -> loss` of the quiet recipe in training."""
    return subject.once(_mean_loss)


def _mean_loss(subject: Subject) -> Callable[[Any, Any], jax.Array]:
    if subject.recipe.loss is not None:
        subject.labelled  # noqa: B018  refuses targets that the loss does not take
    maker = quiet_maker(subject)

    def compute(state: Any, batch: Any) -> jax.Array:
        recipe = build(maker, state.knobs, state.clock)
        weight = batch.get("weight") if isinstance(batch, Mapping) else None
        apply = bind(recipe, train=True, weight=weight)
        keys = Keys(stream(state.key, "check"), jnp.zeros((), jnp.int32))
        pair, _, _ = objective_of(recipe)(apply, state.params, state.model_state, batch, keys)
        return ratio(as_pair("loss", pair))

    return compiled(compute)


def loss_of(subject: Subject, outputs: Any, batch: Any) -> float:
    """Compute the mean loss of given outputs, such as those of a network that knows nothing."""
    loss = subject.recipe.loss
    assert loss is not None  # the subject is labelled
    losses = loss(outputs, batch["y"])
    return float(ratio(weighted(losses, counted(loss, batch["y"], losses, batch.get("weight")))))


def difference(one: Any, other: Any) -> np.ndarray:
    """Compare outputs row by row: the largest relative difference in each, (rows,).

    It is relative to the largest deviation or size of any output. NaN in both is no difference.
    """
    worst = np.zeros(())
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
        scale = max(float(np.nanmax(np.abs(a), initial=0)), 1e-30)
        apart = np.where(np.isnan(a) & np.isnan(b), 0, np.abs(a - b)) / scale
        worst = np.maximum(worst, np.where(np.isnan(apart), np.inf, apart).max(1, initial=0))
    return worst
