"""Steps whose loss or gradient is not finite: left out, counted, and named."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.train.step.state import Skips, TrainState
from jaxnn.tree import path_name

__all__ = ["all_finite", "nonfinite_message", "nonfinite_names", "skip_nonfinite"]


def all_finite(tree: Any) -> jax.Array:
    """Say whether every floating-point number of a tree is finite, () bool."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in floats]).all()


def skip_nonfinite(
    limit: int, old: TrainState, new: TrainState, grads: Any, metrics: dict[str, Any]
) -> tuple[TrainState, dict[str, Any]]:
    """Keep the new state where the step was finite, else the old one with the clock advanced.

    A skipped step keeps parameters, model state, optimizer state and average. The clock goes on,
    so that the next step makes other draws. A skipped step counts in no metric but "skipped".
    A step of a member that has stopped is dropped in the same way and counts in none.

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
    # A step of a member that has stopped is dropped by the same selects, and is counted nowhere.
    live = ~old.control.stop
    good = finite.all() & live
    bad = ~finite.all() & live
    skips = old.control.skips
    counted = Skips(
        total=skips.total + bad,
        in_a_row=jnp.where(bad, skips.in_a_row + 1, jnp.where(live, 0, skips.in_a_row)),
        step=jnp.where(bad, old.clock, skips.step),
        leaf=jnp.where(bad, jnp.argmin(finite).astype(jnp.int32), skips.leaf),
    )
    kept = jax.tree.map(
        lambda a, b: jnp.where(good, a, b),
        (new.params, new.model_state, new.opt_state, new.averaged),
        (old.params, old.model_state, old.opt_state, old.averaged),
    )
    control = old.control.replace(
        skips=counted,
        stop=old.control.stop | (counted.in_a_row >= limit),
        updates=old.control.updates + good,
    )
    state = new.replace(
        params=kept[0],
        model_state=kept[1],
        opt_state=kept[2],
        averaged=kept[3],
        control=control,
    )
    metrics = jax.tree.map(lambda part: jnp.where(good, part, 0), metrics)
    return state, {**metrics, "skipped": (bad.astype(float), live.astype(float))}


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


def nonfinite_names(state: TrainState) -> list[str]:
    """What `Skips.leaf` counts: the loss, the gradients, and what a step may spoil."""
    gradients = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(state.params)]
    return ["the loss", *gradients, *(name for name, _ in _named(state))]


def nonfinite_message(state: TrainState, skips: Skips) -> str:
    """What ended a run that skipped too many steps in a row.

    Args:
      state: of the run, for the paths of its parameters.
      skips: fetched.
    """
    names = nonfinite_names(state)
    return (
        f"{int(skips.in_a_row)} steps in a row were not finite, the last of them step "
        f"{int(skips.step)}: NaN or Inf in {names[int(skips.leaf)]}. Parameters are those "
        "before these steps. A lower learning rate or clipping may help; look at the data too"
    )
