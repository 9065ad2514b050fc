"""Lion: steps of one size, along the sign of an interpolated momentum."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.decay import add_decayed_weights
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    floating_dtype,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import moment, towards, zeros_like
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import Mask

__all__ = ["LionState", "lion", "scale_by_lion"]


class LionState(NamedTuple):
    """State of `scale_by_lion`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # running mean of gradients, like the parameters


def scale_by_lion(
    b1: Knob = 0.9, b2: Knob = 0.99, mu_dtype: Any = None
) -> optax.GradientTransformationExtraArgs:
    r"""Compute Lion's direction, as a link of a chain, without the learning rate.

    The arguments are those of `lion`.

    >>> tx = scale_by_lion()
    >>> tx.update(jnp.array([3.0, -0.2, 0.0]), tx.init(jnp.zeros(3)))[0]
    Array([ 1., -1.,  0.], dtype=float32)
    """
    check_scheduled("b1", b1, 0, 1)
    check_scheduled("b2", b2, 0, 1)
    dtype = floating_dtype("mu_dtype", mu_dtype)

    def init(params: optax.Params) -> LionState:
        return LionState(jnp.zeros((), jnp.int32), zeros_like(params, dtype))

    def update(
        updates: optax.Updates,
        state: LionState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, LionState]:
        del params, extra_args
        b, decay = value_at(b1, state.count), value_at(b2, state.count)

        def sign(g: jax.Array, m: jax.Array) -> jax.Array:
            return jnp.sign(towards(b, m, g)).astype(jnp.result_type(g))

        mu = moment(decay, updates, state.mu)
        mu = jax.tree.map(lambda m, old: m.astype(old.dtype), mu, state.mu)
        return jax.tree.map(sign, updates, state.mu), LionState(next_count(state.count), mu)

    return transformation(init, update)


def lion(
    learning_rate: Knob,
    b1: Knob = 0.9,
    b2: Knob = 0.99,
    mu_dtype: Any = None,
    weight_decay: Knob = 1e-3,
    mask: Mask | None = "weights_only",
) -> optax.GradientTransformationExtraArgs:
    r"""Build Lion, whose steps are signs, with decoupled weight decay of the weights alone.

    $$\theta \leftarrow \theta - \alpha_t \big(\mathrm{sign}(b_1 m + (1-b_1) g)
    + \lambda\theta\big), \qquad m \leftarrow b_2 m + (1-b_2) g$$

    Unlike Optax, the default decays weights only; `mask=None` or `mask="all"` decays everything
    and gives Optax's numbers. The sign of a complex number z is z/|z|.

    Args:
      learning_rate: α, at least 0; 3 to 10 times smaller than that of AdamW.
      b1: share of the momentum in the direction, in [0, 1].
      b2: decay of the momentum, in [0, 1].
      mu_dtype: dtype of the momentum. None: the dtype of the parameters.
      weight_decay: λ, at least 0; 3 to 10 times larger than that of AdamW.
      mask: which parameters decay, see `jaxnn.tree.mask_tree`. None: all of them.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range.

    >>> tx = lion(0.1)
    >>> params = jnp.array([1.0])
    >>> tx.update(jnp.array([5.0]), tx.init(params), params)[0]
    Array([-0.1], dtype=float32)

    Source: Chen et al. 2023.
    """
    direction, decay = scale_by_lion(b1, b2, mu_dtype), add_decayed_weights(weight_decay, mask)
    return optax.chain(direction, decay, scale_by_learning_rate(learning_rate))
