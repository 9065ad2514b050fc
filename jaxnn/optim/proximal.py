"""L1 regularization by a proximal step, which sets weights to exactly 0."""

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
from jaxnn.tree import Mask, check_held, mask_tree

__all__ = ["ThresholdState", "soft_threshold"]


class ThresholdState(NamedTuple):
    """State of `soft_threshold`."""

    count: jax.Array  # () int32: updates so far


def soft_threshold(
    strength: Knob, learning_rate: Knob, *, mask: Mask | None = "weights_only"
) -> optax.GradientTransformationExtraArgs:
    r"""Regularize by L1 with exact zeros: shrink each weight towards 0, and stop there.

    $$w \leftarrow S_{\alpha_t\lambda}(w + u), \qquad
    S_\tau(w) = \mathrm{sign}(w)\,\max(|w| - \tau, 0)$$

    It stands behind the learning rate, last in a chain, in place of `jaxnn.regularizers.l1`, whose
    gradient steps bring weights close to 0 and not to it. With plain gradient descent it is the
    proximal gradient method (ISTA), which solves the lasso. Behind a momentum or an adaptive
    optimizer it shrinks by the same $\alpha_t\lambda$ at each step.

        optax.chain(sgd(0.1), soft_threshold(1e-3, 0.1))

    Args:
      strength: λ, at least 0, as in `jaxnn.regularizers.l1`.
      learning_rate: α, at least 0: the rate of the optimizer before it, or its schedule. A
        controller's scale of the rate counts here too.
      mask: which parameters are shrunk, see `jaxnn.tree.mask_tree`. None: all of them.

    Each float may be a traced scalar or a schedule.

    Returns:
      A transformation whose state is `ThresholdState`.

    Raises:
      ValueError: a concrete value is below 0, or vanishes or overflows in the dtype of a
        parameter; an update is not given the parameters.

    >>> tx = soft_threshold(1.0, 0.5)
    >>> params = {"kernel": jnp.array([[2.0, -0.3]])}
    >>> updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    >>> optax.apply_updates(params, updates)["kernel"]
    Array([[1.5, 0. ]], dtype=float32)

    Source: Tibshirani 1996 (the lasso), Daubechies et al. 2004; lecture N, on L1 and sparsity.
    """
    check_scheduled("strength", strength, 0)
    check_scheduled("learning_rate", learning_rate, 0)

    def init(params: optax.Params) -> ThresholdState:
        check_held("strength", strength, params)
        check_held("learning_rate", learning_rate, params)
        return ThresholdState(jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: ThresholdState,
        params: optax.Params | None = None,
        *,
        rate_scale: float | jax.Array = 1.0,
        **extra_args: Any,
    ) -> tuple[optax.Updates, ThresholdState]:
        del extra_args
        if params is None:
            raise ValueError("soft_threshold needs the parameters: update(updates, state, params)")
        rate = value_at(learning_rate, state.count) * rate_scale
        tau = value_at(strength, state.count) * rate

        def shrunk(u: jax.Array, p: jax.Array) -> jax.Array:
            new = p + u
            size = jnp.abs(new)
            left = jnp.maximum(size - jnp.asarray(tau, size.dtype), 0)
            return (jnp.sign(new) * left - p).astype(jnp.result_type(u))

        updates = jax.tree.map(
            lambda u, p, included: shrunk(u, p) if included else u,
            updates,
            params,
            mask_tree(mask, params),
        )
        return updates, ThresholdState(next_count(state.count))

    return transformation(init, update)
