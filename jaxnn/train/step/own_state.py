"""A state of the user's own inside a `TrainState`, so that the loop knows one kind of state.

`fit(None, data, step=step, state=state)` trains any pytree by any step. It becomes the
parameters of a `TrainState` whose other parts are empty; nothing else has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.train.step.state import TrainState, fresh_control

__all__ = ["OwnStep", "Step", "as_given", "is_train_state", "wrap"]

Step = Callable[[Any, Any], tuple[Any, Mapping[str, Any]]]
"""`(state, batch) -> (state, metrics)`: a user's own step."""


@dataclass(frozen=True)
class OwnStep:
    """A user's step on a state of the user's own, as a step on a `TrainState`."""

    step: Step

    def __call__(self, state: TrainState, batch: Any) -> tuple[TrainState, Mapping[str, Any]]:
        """Take one step, and advance the clock."""
        own, metrics = self.step(state.params, batch)
        return state.replace(clock=state.clock + 1, params=own), metrics


def is_train_state(state: Any) -> bool:
    """Whether a state is a `TrainState`, and not one of the user's own."""
    return isinstance(state, TrainState)


def wrap(step: Step, state: Any, key: jax.Array) -> tuple[Step, TrainState]:
    """A user's step and state as the loop takes them; a `TrainState` stays as it is.

    Args:
      step: the user's own step.
      state: what it takes: a `TrainState`, or any pytree of arrays.
      key: root key of the run, for the shuffle.
    """
    if is_train_state(state):
        return step, jax.tree.map(_strong, state)
    own = TrainState(
        clock=jnp.zeros((), jnp.int32),
        knobs={},
        params=jax.tree.map(_strong, state),
        model_state={},
        opt_state=(),
        averaged=None,
        control=fresh_control(),
        key=key,
    )
    return OwnStep(step), own


def as_given(step: Step | None, state: TrainState) -> Any:
    """The state as the user knows it: without the wrapping that `wrap` added."""
    return state.params if isinstance(step, OwnStep) else state


def _strong(leaf: Any) -> jax.Array:
    """A leaf as an array that is not weakly typed, so that a resumed one has the same type."""
    if isinstance(leaf, jax.Array) and not leaf.weak_type:
        return leaf
    return jnp.asarray(leaf, jnp.result_type(leaf))
