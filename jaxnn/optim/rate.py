"""Knobs that follow a schedule, and the link of a chain that applies the learning rate.

Every float argument of an optimizer is a *knob*: a Python number, a traced scalar, or a
schedule, which is a pure function of the count of updates. The learning rate is applied by one
link alone, `scale_by_learning_rate`. The same link applies `rate_scale`, the factor by which
controllers such as `jaxnn.train.plateau` lower the rate during a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnn.arguments import check_knob
from jaxnn.tree import check_held

__all__ = [
    "Knob",
    "RateState",
    "Schedule",
    "check_schedule",
    "check_scheduled",
    "check_transformation",
    "count_rates",
    "floating_dtype",
    "following",
    "last_rate",
    "next_count",
    "number",
    "scale_by_learning_rate",
    "takes_rate_scale",
    "transformation",
    "value_at",
]

Schedule = Callable[[jax.Array], jax.Array]
"""A pure function that maps the count of updates (integer, any shape) to a knob's value."""

Knob = float | jax.Array | Schedule
"""The type of every float argument of an optimizer: a number, a traced scalar or a schedule."""


def check_scheduled(name: str, knob: Knob, *bounds: float, **open_ends: bool) -> None:
    """Check a constant knob; a schedule has checked its own constants already."""
    if not callable(knob):
        check_knob(name, knob, *bounds, **open_ends)


def number(name: str, value: Any, *bounds: float, **open_ends: bool) -> Any:
    """Check a constant of a schedule, and return it; an integer becomes a float.

    Steps may be above the largest int32, which JAX would refuse of an integer, or wrap.

    >>> number("transition_steps", 2**40, 0)
    1099511627776.0
    """
    check_knob(name, value, *bounds, **open_ends)
    return float(value) if isinstance(value, (int, np.number, np.ndarray)) else value


def check_schedule(name: str, schedule: Any) -> None:
    """Refuse what is no schedule.

    >>> check_schedule("schedule", 0.1)
    Traceback (most recent call last):
    ...
    TypeError: schedule must be a function of the count such as constant(0.1), got 0.1
    """
    if not callable(schedule):
        raise TypeError(
            f"{name} must be a function of the count such as constant(0.1), got {schedule!r}"
        )


def check_transformation(name: str, tx: Any) -> None:
    """Refuse what is no Optax transformation.

    >>> check_transformation("optimizer", "adam")
    Traceback (most recent call last):
    ...
    TypeError: optimizer must be an Optax transformation (init, update), got 'adam'
    """
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise TypeError(f"{name} must be an Optax transformation (init, update), got {tx!r}")


def floating_dtype(name: str, dtype: Any) -> Any:
    """Return a dtype for accumulators, or None for that of the parameters.

    >>> floating_dtype("mu_dtype", "int8")
    Traceback (most recent call last):
    ...
    TypeError: mu_dtype must be a floating-point dtype or None, got 'int8'
    """
    if dtype is None:
        return None
    refusal = TypeError(f"{name} must be a floating-point dtype or None, got {dtype!r}")
    try:
        known = jnp.dtype(dtype)
    except TypeError:
        raise refusal from None
    if not jnp.issubdtype(known, jnp.inexact):
        raise refusal
    return known


def value_at(knob: Knob, count: jax.Array) -> float | jax.Array:
    """Return the value of a knob at update `count`, whether it is scheduled or not."""
    return knob(count) if callable(knob) else knob


def next_count(count: jax.Array) -> jax.Array:
    """Return the count after one more update, which stays at the largest int32."""
    return jnp.asarray(optax.safe_increment(count))


def transformation(
    init: Callable[..., Any], update: Callable[..., Any]
) -> optax.GradientTransformationExtraArgs:
    """Build an Optax transformation from functions that name the type of their own state."""
    return optax.GradientTransformationExtraArgs(init, update)


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
