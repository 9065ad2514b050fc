"""Steps whose loss or gradient is not finite: left out, counted, and named."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.train.state import Skips, TrainState
from jaxnn.tree import path_name

__all__ = ["nonfinite_message", "skip_nonfinite"]


def skip_nonfinite(
    limit: int, old: TrainState, new: TrainState, grads: Any, metrics: dict[str, Any]
) -> tuple[TrainState, dict[str, Any]]:
    """The new state where the step was finite, else the old one, a step further.

    Parameters, model state, optimizer state and average keep their old values; the step
    count goes on, so that the next draws are others. A skipped step counts in no metric but
    "skipped".

    Args:
      limit: skipped steps in a row at which the run stops.
      old: before the step.
      new: after it.
      grads: its gradient, like the parameters.
      metrics: its (sum, count) pairs and accumulators.

    Returns:
      State and metrics.
    """
    before, after = _looked_at(old), _looked_at(new)
    finite = jnp.stack(
        [jnp.isfinite(metrics["loss"][0]), *(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))]
        # What was not finite before, such as the best value of a plateau, may stay so.
        + [(jnp.isfinite(b) | ~jnp.isfinite(a)).all() for a, b in zip(before, after, strict=True)]
    )
    good = finite.all()
    skips = old.control.skips
    counted = Skips(
        total=skips.total + ~good,
        in_a_row=jnp.where(good, 0, skips.in_a_row + 1),
        step=jnp.where(good, skips.step, old.step),
        leaf=jnp.where(good, skips.leaf, jnp.argmin(finite).astype(jnp.int32)),
    )
    stop = old.control.stop | (counted.in_a_row >= limit)
    kept = jax.tree.map(
        lambda a, b: jnp.where(good, a, b),
        (new.params, new.model_state, new.opt_state, new.averaged),
        (old.params, old.model_state, old.opt_state, old.averaged),
    )
    state = new.replace(
        params=kept[0],
        model_state=kept[1],
        opt_state=kept[2],
        averaged=kept[3],
        control=old.control.replace(skips=counted, stop=stop),
    )
    metrics = jax.tree.map(lambda part: jnp.where(good, part, 0), metrics)
    one = jnp.ones((), float)
    return state, {**metrics, "skipped": (jnp.where(good, 0, one), one)}


def _looked_at(state: TrainState) -> list[jax.Array]:
    return [leaf for _, leaf in _named(state)]


def _named(state: TrainState) -> list[tuple[str, jax.Array]]:
    """What a step may spoil, with its place: parameters, model state, optimizer state."""
    return [
        (part + path_name(path), leaf)
        for part, tree in (
            ("", state.params),
            ("", state.model_state),
            ("the optimizer state at ", state.opt_state),
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]


def nonfinite_message(state: TrainState, skips: Skips) -> str:
    """What ended a run that skipped too many steps in a row.

    Args:
      state: of the run, for the paths of its parameters.
      skips: fetched.
    """
    gradients = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(state.params)]
    names = ["the loss", *gradients, *(name for name, _ in _named(state))]
    return (
        f"{int(skips.in_a_row)} steps in a row were not finite, the last of them step "
        f"{int(skips.step)}: NaN or Inf in {names[int(skips.leaf)]}. Parameters are those "
        "before these steps. A lower learning rate or clipping may help; look at the data too"
    )
