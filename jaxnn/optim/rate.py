"""The learning rate, as the link of a chain that turns a direction into a step.

It is the one place where a rate meets an update: the constant or the schedule, and the
scale by which controllers (plateau, halving) lower it while the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_knob

__all__ = ["RateState", "Schedule", "check_rate", "scale_by_learning_rate", "takes_rate_scale"]

Schedule = Callable[[jax.Array], jax.Array]
"""A pure function of the step count (integer scalar) that returns a knob's value."""

ScalarOrSchedule = float | jax.Array | Schedule


class RateState(NamedTuple):
    """State of `scale_by_learning_rate`."""

    count: jax.Array  # () int32: updates applied so far


def check_rate(learning_rate: ScalarOrSchedule) -> None:
    """Refuse a concrete constant rate that is negative; a schedule checks its own constants."""
    if not callable(learning_rate):
        check_knob("learning_rate", learning_rate, 0)


def value_at(knob: ScalarOrSchedule, count: jax.Array) -> float | jax.Array:
    """The value of a knob at step `count`, whether it is scheduled or not."""
    return knob(count) if callable(knob) else knob


def next_count(count: jax.Array) -> jax.Array:
    """The count after one more update; stays at the largest int32 rather than wrap."""
    return jnp.asarray(optax.safe_increment(count))


def transformation(
    init: Callable[..., Any], update: Callable[..., Any]
) -> optax.GradientTransformationExtraArgs:
    """An Optax pair, of functions that name the type of their own state."""
    return optax.GradientTransformationExtraArgs(init, update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule,
) -> optax.GradientTransformationExtraArgs:
    r"""Multiply updates by $-\alpha_t$, and by `rate_scale` where the caller passes one.

    $$u \leftarrow -\alpha_t\, s\, u$$

    As in Optax, except that it takes the extra argument `rate_scale` (s, a scalar, 1 by
    default), through which the training step applies what its controllers decided.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar, or a schedule of the count of
        updates, which starts at 0.

    Returns:
      A transformation whose state is `RateState`.

    Raises:
      ValueError: a concrete rate below 0.

    >>> tx = scale_by_learning_rate(0.1)
    >>> updates, _ = tx.update({"w": jnp.array([2.0])}, tx.init({"w": jnp.array([0.0])}))
    >>> updates
    {'w': Array([-0.2], dtype=float32)}

    Source: lecture C.
    """
    check_rate(learning_rate)

    def init(params: optax.Params) -> RateState:
        del params
        return RateState(count=jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: RateState,
        params: optax.Params | None = None,
        *,
        rate_scale: float | jax.Array = 1.0,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RateState]:
        del params, extra_args
        step = -value_at(learning_rate, state.count) * rate_scale
        updates = jax.tree.map(lambda u: jnp.asarray(step, u.dtype) * u, updates)
        return updates, RateState(count=next_count(state.count))

    return transformation(init, update)


def takes_rate_scale(opt_state: Any) -> bool:
    """Whether an optimizer with this state applies `rate_scale` by itself.

    An optimizer that has no link of ours ignores the extra argument; the training step then
    multiplies its updates instead.

    >>> takes_rate_scale(optax.chain(scale_by_learning_rate(0.1)).init({}))
    True
    >>> takes_rate_scale(optax.sgd(0.1).init({}))
    False
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, RateState))
    return any(isinstance(node, RateState) for node in nodes)
