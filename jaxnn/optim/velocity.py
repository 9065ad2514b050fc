"""Gradient descent, with and without momentum."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    floating_dtype,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import check_updates, zeros_like
from jaxnn.optim.rate import scale_by_learning_rate

__all__ = ["TraceState", "momentum", "sgd", "trace"]


class TraceState(NamedTuple):
    """State of `trace`."""

    count: jax.Array  # () int32: updates so far
    velocity: optax.Updates  # like the parameters


def trace(
    decay: Knob, nesterov: bool = False, accumulator_dtype: Any = None
) -> optax.GradientTransformationExtraArgs:
    r"""Replace gradients by their decaying sum, as `optax.trace` does.

    $$\rho \leftarrow \mu_t\rho + g, \qquad u = \rho
    \quad\text{or, Nesterov,}\quad u = g + \mu_t\rho$$

    Args:
      decay: μ, in [0, 1]; a float, a traced scalar or a schedule.
      nesterov: whether the update looks one decay ahead, as in Optax.
      accumulator_dtype: dtype of the velocity. None: the dtype of the parameters.

    Returns:
      A transformation whose state is `TraceState`. Its velocity starts at 0.

    Raises:
      ValueError: a concrete `decay` is outside [0, 1].

    >>> tx = trace(0.5)
    >>> state = tx.init(jnp.array([0.0]))
    >>> for _ in range(3):
    ...     update, state = tx.update(jnp.array([1.0]), state)
    >>> update
    Array([1.75], dtype=float32)
    """
    check_scheduled("decay", decay, 0, 1)
    nesterov = check_flag("nesterov", nesterov)
    dtype = floating_dtype("accumulator_dtype", accumulator_dtype)

    def init(params: optax.Params) -> TraceState:
        return TraceState(jnp.zeros((), jnp.int32), velocity=zeros_like(params, dtype))

    def update(
        updates: optax.Updates,
        state: TraceState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, TraceState]:
        del params, extra_args
        check_updates(updates, state.velocity)
        mu = value_at(decay, state.count)

        def decayed(g: jax.Array, rho: jax.Array) -> jax.Array:
            dtype = jnp.result_type(g)
            return g + (jnp.asarray(mu, dtype) * rho).astype(dtype)

        velocity = jax.tree.map(decayed, updates, state.velocity)
        updates = jax.tree.map(decayed, updates, velocity) if nesterov else velocity
        velocity = jax.tree.map(lambda new, old: new.astype(old.dtype), velocity, state.velocity)
        return updates, TraceState(count=next_count(state.count), velocity=velocity)

    return transformation(init, update)


def sgd(
    learning_rate: Knob,
    momentum: Knob | None = None,
    nesterov: bool = False,
    accumulator_dtype: Any = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Build mini-batch gradient descent, $\theta \leftarrow \theta - \alpha_t g$, as in Optax.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule.
      momentum: μ, in [0, 1]. None keeps no velocity. See `jaxnn.optim.momentum`, which also
        has the form with the rate inside the velocity.
      nesterov: whether the momentum is Nesterov's, in the form "current" of
        `jaxnn.optim.nesterov`.
      accumulator_dtype: dtype of the velocity. None: the dtype of the parameters.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, or `nesterov` is given without
        `momentum`.

    >>> tx = sgd(0.5)
    >>> params = jnp.array([1.0])
    >>> updates, _ = tx.update(jnp.array([1.0]), tx.init(params), params)
    >>> optax.apply_updates(params, updates)
    Array([0.5], dtype=float32)

    Source: lectures C, L and M.
    """
    rate = scale_by_learning_rate(learning_rate)
    floating_dtype("accumulator_dtype", accumulator_dtype)
    if momentum is None:
        if check_flag("nesterov", nesterov):
            raise ValueError("momentum must be given where nesterov=True, got None")
        return optax.chain(rate)
    check_scheduled("momentum", momentum, 0, 1)
    return optax.chain(trace(momentum, nesterov, accumulator_dtype), rate)


def momentum(
    learning_rate: Knob, decay: Knob = 0.9, *, rate_in_velocity: bool = False
) -> optax.GradientTransformationExtraArgs:
    r"""Build gradient descent with momentum, with the rate outside the velocity or inside.

    With the rate outside, the form of Optax and PyTorch:

    $$\rho \leftarrow \mu_t\rho + g, \qquad \theta \leftarrow \theta - \alpha_t \rho$$

    With the rate inside, the form of the lectures and of Keras:

    $$\rho \leftarrow \mu_t\rho - \alpha_t g, \qquad \theta \leftarrow \theta + \rho$$

    The form with the rate inside is lecture L's heavy ball for every $\alpha_t$ and $\mu_t$
    (which L writes $\gamma_t$), since its velocity is the last step:
    $\theta_t = \theta_{t-1} - \alpha_t g + \mu_t(\theta_{t-1} - \theta_{t-2})$.
    The form with the rate outside agrees with it while the rate is constant. When the rate
    drops, a velocity with the rate inside keeps its old speed for a while, and one with the
    rate outside slows down at once.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule.
      decay: μ, in [0, 1], typically 0.9 or 0.99; a float, a traced scalar or a schedule.
      rate_in_velocity: whether the rate is inside the velocity.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete rate is below 0, or a concrete decay outside [0, 1].

    >>> tx = momentum(1.0, decay=0.9)
    >>> params = jnp.array([0.0])
    >>> state = tx.init(params)
    >>> for _ in range(2):
    ...     updates, state = tx.update(jnp.array([1.0]), state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> params
    Array([-2.9], dtype=float32)

    Source: Polyak 1964; lectures C, L and M.
    """
    rate, velocity = scale_by_learning_rate(learning_rate), trace(decay)
    rate_in_velocity = check_flag("rate_in_velocity", rate_in_velocity)
    return optax.chain(rate, velocity) if rate_in_velocity else optax.chain(velocity, rate)
