"""The learning rate: the link of a chain that applies it, and what an optimizer's state says of it.

The learning rate is applied by one link alone, `scale_by_learning_rate`. The same link applies
`rate_scale`, the factor by which controllers such as `jaxnn.train.plateau` lower the rate during
a run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.knobs import Knob, check_scheduled, next_count, transformation, value_at
from jaxnn.tree import check_held, check_numbers

__all__ = [
    "RateState",
    "count_rates",
    "following",
    "last_rate",
    "scale_by_learning_rate",
    "takes_rate_scale",
]


class RateState(NamedTuple):
    """State of `scale_by_learning_rate`."""

    count: jax.Array  # () int32: updates applied so far
    rate: jax.Array  # () floating: scaled rate of the last update, or of the first before it


def scale_by_learning_rate(learning_rate: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Multiply updates by $-\alpha_t$, and by `rate_scale` if the caller passes one.

    $$u \leftarrow -\alpha_t\, s\, u$$

    It is Optax's transformation of the same name with one more feature: its update takes the
    extra argument `rate_scale` (s, a scalar, 1 by default). The training step passes the scale
    that its controllers decided through it.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar, or a schedule of the count of
        updates, which starts at 0.

    Returns:
      A transformation whose state is `RateState`.

    Raises:
      ValueError: a concrete rate is below 0, or, at `init`, vanishes or overflows in the dtype of
        a parameter.

    >>> tx = scale_by_learning_rate(0.1)
    >>> updates, _ = tx.update({"w": jnp.array([2.0])}, tx.init({"w": jnp.array([0.0])}))
    >>> updates
    {'w': Array([-0.2], dtype=float32)}

    Source: lecture C.
    """
    check_scheduled("learning_rate", learning_rate, 0)

    def init(params: optax.Params) -> RateState:
        check_held("learning_rate", learning_rate, params)
        count = jnp.zeros((), jnp.int32)
        return RateState(count=count, rate=jnp.asarray(value_at(learning_rate, count), float))

    def update(
        updates: optax.Updates,
        state: RateState,
        params: optax.Params | None = None,
        *,
        rate_scale: float | jax.Array = 1.0,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RateState]:
        del params, extra_args
        check_numbers("updates", updates)
        rate = value_at(learning_rate, state.count) * rate_scale
        updates = jax.tree.map(lambda u: jnp.asarray(-rate, jnp.result_type(u)) * u, updates)
        return updates, RateState(count=next_count(state.count), rate=jnp.asarray(rate, float))

    return transformation(init, update)


def _rate_states(opt_state: Any) -> list[RateState]:
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, RateState))
    return [node for node in nodes if isinstance(node, RateState)]


class FollowingState(NamedTuple):
    """State of `following`."""

    inner: optax.OptState


def following(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Make any optimizer apply `rate_scale` by itself."""
    tx = optax.with_extra_args_support(tx)

    def init(params: optax.Params) -> FollowingState:
        return FollowingState(tx.init(params))

    def update(
        updates: optax.Updates,
        state: FollowingState,
        params: optax.Params | None = None,
        *,
        rate_scale: float | jax.Array = 1.0,
        **extra_args: Any,
    ) -> tuple[optax.Updates, FollowingState]:
        extra_args["rate_scale"] = rate_scale
        updates, inner = tx.update(updates, state.inner, params, **extra_args)
        if not takes_rate_scale(state.inner):
            updates = jax.tree.map(
                lambda u: u * jnp.asarray(rate_scale, jnp.result_type(u)), updates
            )
        return updates, FollowingState(inner)

    return transformation(init, update)


def count_rates(opt_state: Any) -> int:
    """Count the learning rates in an optimizer's state; groups of parameters have several."""
    return len(_rate_states(opt_state))


def takes_rate_scale(opt_state: Any) -> bool:
    """Say whether an optimizer with this state applies `rate_scale` by itself.

    An optimizer without a link of jaxnn's ignores the extra argument. The training step then
    multiplies its updates instead.

    >>> takes_rate_scale(optax.chain(scale_by_learning_rate(0.1)).init({}))
    True
    >>> takes_rate_scale(optax.sgd(0.1).init({}))
    False
    """
    kinds = (RateState, FollowingState)
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kinds))
    return any(isinstance(node, kinds) for node in nodes)


def last_rate(opt_state: Any) -> jax.Array | None:
    """Return the learning rate of the last update, including its scale.

    It is None if no link of jaxnn's applies the rate. If groups of parameters have different
    rates, it is the rate of the first group.

    >>> last_rate(optax.chain(optax.clip(1.0), scale_by_learning_rate(0.1)).init({}))
    Array(0.1, dtype=float32)
    """
    states = _rate_states(opt_state)
    return states[0].rate if states else None
