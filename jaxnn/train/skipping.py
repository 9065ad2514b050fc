"""Steps whose loss or gradient is not finite: left out, counted, and named."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.metrics import Pair
from jaxnn.train.state import Skips, TrainState
from jaxnn.tree import path_name

__all__ = ["nonfinite_message", "skip_nonfinite"]


def skip_nonfinite(
    limit: int, old: TrainState, new: TrainState, grads: Any, metrics: dict[str, Pair]
) -> tuple[TrainState, dict[str, Pair]]:
    """The new state where the step was finite, else the old one, a step further.

    Parameters, model state, optimizer state and average keep their old values; the step
    count goes on, so that the next draws are others. A skipped step counts in no metric but
    "skipped".

    Args:
      limit: skipped steps in a row at which the run stops.
      old: before the step.
      new: after it.
      grads: its gradient, like the parameters.
      metrics: its (sum, count) pairs.

    Returns:
      State and metrics.
    """
    looked_at = [metrics["loss"][0], *jax.tree.leaves((grads, new.model_state))]
    finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in looked_at])
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


def nonfinite_message(state: TrainState, skips: Skips) -> str:
    """What ended a run that skipped too many steps in a row.

    Args:
      state: of the run, for the paths of its parameters.
      skips: fetched.
    """
    flat = jax.tree_util.tree_leaves_with_path((state.params, state.model_state))
    # A path begins with the place in the pair.
    names = ["the loss", *(path_name(path[1:]) for path, _ in flat)]
    return (
        f"{int(skips.in_a_row)} steps in a row were not finite, the last of them step "
        f"{int(skips.step)}: NaN or Inf in {names[int(skips.leaf)]}. Parameters are those "
        "before these steps. A lower learning rate or clipping may help; look at the data too"
    )
