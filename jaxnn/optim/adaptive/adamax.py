"""Adamax: Adam with the largest gradient instead of the root mean square."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import bias_correction, moment, real_like
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import check_held

__all__ = ["AdamaxState", "adamax", "scale_by_adamax"]


class AdamaxState(NamedTuple):
    """State of `scale_by_adamax`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # first moments, like the parameters
    nu: optax.Updates  # decaying largest gradients, like the parameters, but real


def scale_by_adamax(
    b1: Knob = 0.9, b2: Knob = 0.999, eps: Knob = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""Compute Adamax's direction, as a link of a chain, without the learning rate.

    The arguments are those of `adamax`.

    >>> tx = scale_by_adamax(eps=0.0)
    >>> update, _ = tx.update(jnp.array([3.0, 0.0]), tx.init(jnp.zeros(2)))
    >>> update.round(3)
    Array([1., 0.], dtype=float32)
    """
    check_scheduled("b1", b1, 0, 1, high_open=True)
    check_scheduled("b2", b2, 0, 1, high_open=True)
    check_scheduled("eps", eps, 0)

    def init(params: optax.Params) -> AdamaxState:
        check_held("eps", eps, params)
        mu, nu = jax.tree.map(jnp.zeros_like, params), jax.tree.map(real_like, params)
        return AdamaxState(jnp.zeros((), jnp.int32), mu, nu)

    def update(
        updates: optax.Updates,
        state: AdamaxState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AdamaxState]:
        del params, extra_args
        count = next_count(state.count)
        beta1, beta2 = value_at(b1, state.count), value_at(b2, state.count)
        e, short = value_at(eps, state.count), bias_correction(beta1, count)
        mu = moment(beta1, updates, state.mu)

        def largest(g: jax.Array, u: jax.Array) -> jax.Array:
            dtype = u.dtype
            return jnp.maximum(jnp.abs(g) + jnp.asarray(e, dtype), jnp.asarray(beta2, dtype) * u)

        nu = jax.tree.map(largest, updates, state.nu)

        def direction(g: jax.Array, m: jax.Array, u: jax.Array) -> jax.Array:
            divisor = jnp.where(u == 0, jnp.inf, u)  # where no gradient ever was, there is no step
            return (m / short.astype(m.dtype) / divisor).astype(jnp.result_type(g))

        return jax.tree.map(direction, updates, mu, nu), AdamaxState(count, mu, nu)

    return transformation(init, update)


def adamax(
    learning_rate: Knob, b1: Knob = 0.9, b2: Knob = 0.999, eps: Knob = 1e-8
) -> optax.GradientTransformationExtraArgs:
    r"""Build Adamax, which divides a running mean of gradients by their decaying maximum.

    $$m \leftarrow b_1 m + (1-b_1) g, \qquad u \leftarrow \max(b_2 u, |g| + \epsilon), \qquad
    \theta \leftarrow \theta - \alpha_t \frac{m}{(1-b_1^t)\, u}$$

    Without ε, as the paper has it, a parameter that never had a gradient does not move.

    Args:
      learning_rate: α, at least 0. The paper starts from 2e-3.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the maximum, in [0, 1).
      eps: ε, at least 0, which is inside the maximum, as in Optax and PyTorch.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, or, at `init`, vanishes or overflows in
        the dtype of a parameter.

    >>> tx = adamax(0.1)
    >>> params = jnp.array([1.0, 1.0])
    >>> tx.update(jnp.array([5.0, -0.01]), tx.init(params), params)[0].round(3)
    Array([-0.1,  0.1], dtype=float32)

    Source: Kingma and Ba 2015, section 7.1.
    """
    return optax.chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))
