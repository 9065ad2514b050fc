"""Nesterov's momentum, which takes the gradient where the velocity is about to lead.

An optimizer only sees the gradient that it is handed. For a true lookahead, whoever computes
the gradient must therefore know the point: jaxnn's training step gets it from
`lookahead_params`, and a training loop of your own can do the same.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_choice, check_flag
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    number,
    transformation,
    value_at,
)
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.optim.velocity import TraceState, trace
from jaxnn.tree import check_numbers, outline

__all__ = ["LookaheadState", "lookahead_params", "nesterov"]


class LookaheadState(NamedTuple):
    """State of Nesterov's momentum in its form "lookahead"."""

    count: jax.Array  # () int32: updates so far
    velocity: optax.Updates  # like the parameters
    shift: jax.Array  # () multiple of the velocity at which the next gradient is taken
    rate_outside: jax.Array  # () bool: whether `shift` contains the rate, and rate_scale applies


def _lookahead_trace(
    decay: Knob, learning_rate: Knob, rate_in_velocity: bool
) -> optax.GradientTransformationExtraArgs:
    """Build `trace` with a state that says where the next gradient is to be taken."""
    inner: Any = trace(decay)

    def shift_at(count: jax.Array) -> jax.Array:
        mu = jnp.asarray(value_at(decay, count), float)
        return mu if rate_in_velocity else -mu * value_at(learning_rate, count)

    def init(params: optax.Params) -> LookaheadState:
        state = inner.init(params)
        outside = jnp.asarray(not rate_in_velocity)
        return LookaheadState(state.count, state.velocity, shift_at(state.count), outside)

    def update(
        updates: optax.Updates,
        state: LookaheadState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, LookaheadState]:
        traced = TraceState(state.count, state.velocity)
        updates, (count, velocity) = inner.update(updates, traced, params, **extra_args)
        return updates, LookaheadState(count, velocity, shift_at(count), state.rate_outside)

    return transformation(init, update)


def nesterov(
    learning_rate: Knob,
    decay: Knob = 0.9,
    *,
    form: Literal["lookahead", "current"] = "lookahead",
    rate_in_velocity: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Build Nesterov's momentum, as a true lookahead or in the form of Optax and PyTorch.

    The form "lookahead" is that of the lectures. Parameters, state and history hold θ itself,
    and the gradient is taken at the point to which the velocity alone would carry θ:

    $$\rho \leftarrow \mu_t\rho - \alpha_t \nabla f(\theta + \mu_t\rho), \qquad
    \theta \leftarrow \theta + \rho$$

    With the rate outside the velocity it is
    $\rho \leftarrow \mu_t\rho + \nabla f(\theta - \alpha_t\mu_t\rho)$ and
    $\theta \leftarrow \theta - \alpha_t\rho$. The training step of jaxnn takes the gradient at
    that point by itself; a training loop of your own asks `lookahead_params` for it.

    The form "current" is that of Optax, PyTorch and Keras. The gradient is taken at the
    parameters: $\rho \leftarrow \mu\rho + g$ and
    $\theta \leftarrow \theta - \alpha(g + \mu\rho)$. At constant rate and decay its parameters
    are the lookahead points of the other form.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule.
      decay: μ, in [0, 1]; a float, a traced scalar or a schedule.
      form: "lookahead" or "current".
      rate_in_velocity: whether the rate is inside the velocity. The two differ as soon as the
        rate changes.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: `form` is neither of the two, a concrete rate is below 0, or a concrete decay
        is outside [0, 1].

    >>> tx = nesterov(0.1, decay=0.9)
    >>> params = jnp.array([1.0])
    >>> state = tx.init(params)
    >>> for _ in range(100):
    ...     gradient = 2 * lookahead_params(params, state)  # of x^2
    ...     updates, state = tx.update(gradient, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> bool(abs(params[0]) < 1e-3)
    True

    Source: Nesterov 1983; lectures C and M.
    """
    check_choice("form", form, ("lookahead", "current"))
    check_scheduled("decay", decay, 0, 1)
    rate_in_velocity = check_flag("rate_in_velocity", rate_in_velocity)
    rate = scale_by_learning_rate(learning_rate)
    if form == "current":
        velocity = trace(decay, nesterov=True)
    else:
        velocity = _lookahead_trace(decay, learning_rate, rate_in_velocity)
    return optax.chain(rate, velocity) if rate_in_velocity else optax.chain(velocity, rate)


def lookahead_params(
    params: optax.Params, opt_state: Any, *, rate_scale: float | jax.Array = 1.0
) -> optax.Params:
    """Compute the point at which the next gradient is to be taken.

    The state of `nesterov` is found inside `optax.chain`, `masked`, `multi_transform` and
    `partition`, where each group looks ahead by itself, and inside `inject_hyperparams`, where
    the hyper-parameters of the last update count.

    Args:
      params: the parameters θ.
      opt_state: the state of any optimizer.
      rate_scale: the `rate_scale` that the next update will be given.

    Returns:
      The point, a tree like `params`; `params` itself if no part of the optimizer looks ahead.

    Raises:
      TypeError: a leaf of `params` that looks ahead is no number and no array of them.
      ValueError: `params` has another structure than the parameters of the state, or a concrete
        `rate_scale` is no finite number.

    >>> tx = nesterov(0.1, decay=0.5)
    >>> params = jnp.array([1.0])
    >>> state = tx.init(params)
    >>> _, state = tx.update(jnp.array([2.0]), state, params)
    >>> lookahead_params(params, state)
    Array([0.9], dtype=float32)
    """
    rate_scale = number("rate_scale", rate_scale)
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, LookaheadState))
    for state in nodes:
        if isinstance(state, LookaheadState):
            params = _shifted(params, state, rate_scale)
    return params


def _shifted(params: optax.Params, state: LookaheadState, rate_scale: Any) -> optax.Params:
    shift = state.shift * jnp.where(state.rate_outside, rate_scale, 1)

    def move(rho: Any, p: Any) -> Any:
        if isinstance(rho, optax.MaskedNode):  # a parameter of another group
            return p
        dtype = jnp.result_type(p)
        return p + jnp.asarray(shift, dtype) * rho.astype(dtype)

    # A masked node among the velocities can stand for a whole subtree of the parameters.
    velocities, structure = jax.tree.flatten(
        state.velocity, is_leaf=lambda node: isinstance(node, optax.MaskedNode)
    )
    try:
        parts = structure.flatten_up_to(params)
    except ValueError:
        raise ValueError(
            "params must have the structure of the parameters that the state was made for, "
            f"{outline(state.velocity)}, got {outline(params)}"
        ) from None
    for rho, part in zip(velocities, parts, strict=True):
        if not isinstance(rho, optax.MaskedNode):
            check_numbers("params", part)
    return structure.unflatten(map(move, velocities, parts))
