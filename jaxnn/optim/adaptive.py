"""Optimizers that scale every parameter by the history of its own gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_knob
from jaxnn.optim.rate import (
    ScalarOrSchedule,
    check_rate,
    next_count,
    scale_by_learning_rate,
    transformation,
)

__all__ = ["AdamState", "adam", "scale_by_adam"]


class AdamState(NamedTuple):
    """State of `scale_by_adam`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # first moments, like the parameters
    nu: optax.Updates  # second moments, like the parameters


def _complement(decay: float | jax.Array, dtype: Any) -> jax.Array:
    # 1 - b before the cast: in bfloat16 0.999 is 1, and in float32 1 - 0.999 has lost
    # five of its seven digits unless b is a Python float.
    return jnp.asarray(1 - decay, dtype)


def _moment(
    decay: float | jax.Array, updates: optax.Updates, moment: optax.Updates, order: int
) -> optax.Updates:
    return jax.tree.map(
        lambda g, m: jnp.asarray(decay, m.dtype) * m + _complement(decay, m.dtype) * g**order,
        updates,
        moment,
    )


def _bias_correction(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    r"""$1 - b^t$, without cancellation where b is near 1."""
    return -jnp.expm1(count * jnp.log1p(jnp.asarray(-(1 - decay), float)))


def scale_by_adam(
    b1: float | jax.Array = 0.9,
    b2: float | jax.Array = 0.999,
    eps: float | jax.Array = 1e-8,
    eps_root: float | jax.Array = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam's direction, without the rate: see `adam`.

    >>> tx = scale_by_adam()
    >>> update, _ = tx.update(jnp.array([3.0, -0.2]), tx.init(jnp.zeros(2)))
    >>> update.round(3)
    Array([ 1., -1.], dtype=float32)
    """
    check_knob("b1", b1, 0, 1, high_open=True)
    check_knob("b2", b2, 0, 1, high_open=True)
    check_knob("eps", eps, 0)
    check_knob("eps_root", eps_root, 0)

    def init(params: optax.Params) -> AdamState:
        return AdamState(
            count=jnp.zeros((), jnp.int32),
            mu=jax.tree.map(jnp.zeros_like, params),
            nu=jax.tree.map(jnp.zeros_like, params),
        )

    def update(
        updates: optax.Updates,
        state: AdamState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AdamState]:
        del params, extra_args
        count = next_count(state.count)
        mu = _moment(b1, updates, state.mu, 1)
        nu = _moment(b2, updates, state.nu, 2)
        correction1, correction2 = _bias_correction(b1, count), _bias_correction(b2, count)

        def direction(m: jax.Array, v: jax.Array) -> jax.Array:
            m_hat = m / correction1.astype(m.dtype)
            v_hat = v / correction2.astype(v.dtype)
            root = jnp.sqrt(v_hat + jnp.asarray(eps_root, v.dtype))
            return m_hat / (root + jnp.asarray(eps, v.dtype))

        return jax.tree.map(direction, mu, nu), AdamState(count=count, mu=mu, nu=nu)

    return transformation(init, update)


def adam(
    learning_rate: ScalarOrSchedule,
    b1: float | jax.Array = 0.9,
    b2: float | jax.Array = 0.999,
    eps: float | jax.Array = 1e-8,
    eps_root: float | jax.Array = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam: momentum over gradients scaled by their running root mean square.

    $$m \leftarrow b_1 m + (1-b_1) g, \qquad v \leftarrow b_2 v + (1-b_2) g^2$$
    $$\hat m = \frac{m}{1-b_1^t}, \quad \hat v = \frac{v}{1-b_2^t}, \qquad
    \theta \leftarrow \theta
    - \alpha_t \frac{\hat m}{\sqrt{\hat v + \epsilon_\text{root}} + \epsilon}$$

    Args:
      learning_rate: α, at least 0: a float, a traced scalar or a schedule. The lectures
        start with 3e-4 (C) or 1e-3 (L).
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: ε outside the root, at least 0, as in Optax and PyTorch.
      eps_root: ε inside the root, at least 0, as lecture L writes it.

    Each is a float or a traced scalar.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value outside its range.

    >>> tx = adam(0.1)
    >>> params = jnp.array([1.0, 1.0])
    >>> updates, _ = tx.update(jnp.array([5.0, -0.01]), tx.init(params), params)
    >>> updates.round(3)
    Array([-0.1,  0.1], dtype=float32)

    Source: Kingma and Ba 2015; lectures C, L and M.
    """
    check_rate(learning_rate)
    return optax.chain(scale_by_adam(b1, b2, eps, eps_root), scale_by_learning_rate(learning_rate))
