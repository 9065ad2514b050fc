"""Gradient descent, and gradient descent with a velocity."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_knob
from jaxnn.optim.rate import (
    ScalarOrSchedule,
    check_rate,
    scale_by_learning_rate,
    transformation,
)

__all__ = ["TraceState", "momentum", "sgd", "trace"]


class TraceState(NamedTuple):
    """State of `trace`."""

    velocity: optax.Updates  # like the parameters


def trace(decay: float | jax.Array) -> optax.GradientTransformationExtraArgs:
    r"""Replace gradients by their decaying sum, $\rho \leftarrow \mu\rho + g$, $u = \rho$.

    Args:
      decay: μ, in [0, 1]; a float or a traced scalar.

    Returns:
      A transformation whose state is `TraceState`, zero at the start.

    Raises:
      ValueError: a concrete `decay` outside [0, 1].

    >>> tx = trace(0.5)
    >>> state = tx.init(jnp.array([0.0]))
    >>> for _ in range(3):
    ...     update, state = tx.update(jnp.array([1.0]), state)
    >>> update
    Array([1.75], dtype=float32)
    """
    check_knob("decay", decay, 0, 1)

    def init(params: optax.Params) -> TraceState:
        return TraceState(velocity=jax.tree.map(jnp.zeros_like, params))

    def update(
        updates: optax.Updates,
        state: TraceState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, TraceState]:
        del params, extra_args
        velocity = jax.tree.map(
            lambda g, rho: jnp.asarray(decay, g.dtype) * rho + g, updates, state.velocity
        )
        return velocity, TraceState(velocity=velocity)

    return transformation(init, update)


def sgd(learning_rate: ScalarOrSchedule) -> optax.GradientTransformationExtraArgs:
    r"""Mini-batch gradient descent, $\theta \leftarrow \theta - \alpha_t g$.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete rate below 0.

    >>> tx = sgd(0.5)
    >>> params = jnp.array([1.0])
    >>> updates, _ = tx.update(jnp.array([1.0]), tx.init(params), params)
    >>> optax.apply_updates(params, updates)
    Array([0.5], dtype=float32)

    Source: lectures C, L and M.
    """
    return optax.chain(scale_by_learning_rate(learning_rate))


def momentum(
    learning_rate: ScalarOrSchedule, decay: float | jax.Array = 0.9
) -> optax.GradientTransformationExtraArgs:
    r"""Gradient descent with momentum, the rate outside the velocity.

    $$\rho \leftarrow \mu\rho + g, \qquad \theta \leftarrow \theta - \alpha_t \rho$$

    This is the form of Optax and PyTorch. The lectures have α inside the velocity,
    $\rho \leftarrow \mu\rho - \alpha_t g$; at a constant rate the two are the same.

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule.
      decay: μ, in [0, 1], 0.9 or 0.99 as a rule; a float or a traced scalar.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete rate below 0, a concrete decay outside [0, 1].

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
    check_rate(learning_rate)
    return optax.chain(trace(decay), scale_by_learning_rate(learning_rate))
