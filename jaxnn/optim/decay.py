"""Decoupled weight decay: weights shrink beside the gradient step, not through it.

With plain gradient descent L2 through the gradient (`jaxnn.regularizers.l2`) is the same
thing. With Adam it is not: there the penalty's gradient is divided by the root of the second
moment, so that weights with large gradients are hardly regularized.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.rate import (
    Knob,
    check_scheduled,
    count_rates,
    last_rate,
    next_count,
    transformation,
    value_at,
)
from jaxnn.tree import Mask, mask_tree

__all__ = ["DecayState", "multiply_weights", "weight_decay", "with_weight_decay"]


class DecayState(NamedTuple):
    """State of `weight_decay` and `multiply_weights`."""

    count: jax.Array  # () int32: updates so far


def _add_multiple(
    factor: Knob, mask: Mask | None, name: str
) -> optax.GradientTransformationExtraArgs:
    """Adds a multiple of the masked parameters to their updates."""

    def init(params: optax.Params) -> DecayState:
        del params
        return DecayState(count=jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: DecayState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, DecayState]:
        del extra_args
        if params is None:
            raise ValueError(f"{name} needs the parameters: update(updates, state, params)")
        c = value_at(factor, state.count)
        updates = jax.tree.map(
            lambda u, p, included: u + jnp.asarray(c, u.dtype) * p if included else u,
            updates,
            params,
            mask_tree(mask, params),
        )
        return updates, DecayState(count=next_count(state.count))

    return transformation(init, update)


def weight_decay(
    rate: Knob, *, mask: Mask | None = "weights_only", scaled_by_learning_rate: bool = True
) -> optax.GradientTransformationExtraArgs:
    r"""Decoupled weight decay, as a link of a chain; biases and norm scales are left alone.

    Scaled by the learning rate, it stands *before* the rate, as `optax.add_decayed_weights`
    does, and gives $W \leftarrow (1 - \alpha_t\lambda) W$ beside the gradient step:

        optax.chain(scale_by_adam(), weight_decay(1e-2), scale_by_learning_rate(1e-3))

    Not scaled, it stands *last* and gives $W \leftarrow (1 - \lambda) W$, whatever the rate:

        optax.chain(adam(1e-3), weight_decay(1e-5, scaled_by_learning_rate=False))

    Around a whole optimizer, whatever it is made of, see `with_weight_decay`.

    Args:
      rate: λ, at least 0, and at most 1 where it is not scaled; a float, a traced scalar or
        a schedule.
      mask: what is decayed, see `jaxnn.tree.mask_tree`.
      scaled_by_learning_rate: which of the two.

    Returns:
      A transformation whose state is `DecayState`.

    Raises:
      ValueError: a concrete rate outside its range; an update without parameters.

    >>> tx = weight_decay(0.1, scaled_by_learning_rate=False)
    >>> params = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
    >>> zero = jax.tree.map(jnp.zeros_like, params)
    >>> tx.update(zero, tx.init(params), params)[0]
    {'bias': Array([0., 0.], dtype=float32), 'kernel': Array([[-0.1, -0.1]], dtype=float32)}

    Source: Loshchilov and Hutter 2019; lectures L and M.
    """
    if scaled_by_learning_rate:
        check_scheduled("weight_decay rate", rate, 0)
        return _add_multiple(rate, mask, "weight_decay")
    check_scheduled("weight_decay rate", rate, 0, 1)
    if callable(rate):
        return _add_multiple(lambda count: -rate(count), mask, "weight_decay")
    return _add_multiple(-rate, mask, "weight_decay")


def multiply_weights(
    factor: Knob, *, mask: Mask | None = "weights_only"
) -> optax.GradientTransformationExtraArgs:
    r"""Multiply all weights by a constant at each step, $W \leftarrow c\,W + u$.

    It stands last in a chain. The same as `weight_decay(1 - c, scaled_by_learning_rate=False)`.

    Args:
      factor: c, in [0, 1], just below 1 as a rule; a float, a traced scalar or a schedule.
      mask: what is multiplied, see `jaxnn.tree.mask_tree`.

    Returns:
      A transformation whose state is `DecayState`.

    Raises:
      ValueError: a concrete factor outside [0, 1].

    >>> tx = multiply_weights(0.5)
    >>> params = {"kernel": jnp.ones((1, 2))}
    >>> tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)[0]
    {'kernel': Array([[-0.5, -0.5]], dtype=float32)}

    Source: lecture L.
    """
    check_scheduled("factor", factor, 0, 1)
    if callable(factor):
        return _add_multiple(lambda count: factor(count) - 1, mask, "multiply_weights")
    return _add_multiple(-(1 - factor), mask, "multiply_weights")


class DecayedState(NamedTuple):
    """State of `with_weight_decay`."""

    count: jax.Array  # () int32: updates so far
    inner: optax.OptState  # of the optimizer within


def with_weight_decay(
    optimizer: optax.GradientTransformation,
    rate: Knob,
    *,
    mask: Mask | None = "weights_only",
    scaled_by_learning_rate: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Any optimizer, with decoupled weight decay beside its own step.

    $$W \leftarrow W + u - \alpha_t\lambda W \qquad\text{or}\qquad W + u - \lambda W$$

    The rate $\alpha_t$ is what the optimizer itself applied at this step: its schedule and
    the scale of controllers included, and whether its velocity holds it or not.

    Args:
      optimizer: one of jaxnn's, or any other where the decay is not scaled.
      rate: λ, at least 0, and at most 1 where it is not scaled; a float, a traced scalar or
        a schedule.
      mask: what is decayed, see `jaxnn.tree.mask_tree`.
      scaled_by_learning_rate: whether λ is multiplied by the learning rate.

    Returns:
      A transformation whose state is `DecayedState`.

    Raises:
      ValueError: a concrete rate below 0; a scaled decay around an optimizer that does not
        tell its learning rate, or has several.

    >>> from jaxnn.optim import momentum
    >>> tx = with_weight_decay(momentum(0.1, rate_in_velocity=True), 0.5)
    >>> params = {"kernel": jnp.ones((1, 1))}
    >>> tx.update({"kernel": jnp.zeros((1, 1))}, tx.init(params), params)[0]
    {'kernel': Array([[-0.05]], dtype=float32)}

    Source: Loshchilov and Hutter 2019; lectures L and M.
    """
    check_scheduled("weight_decay rate", rate, 0, *(() if scaled_by_learning_rate else (1,)))
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> DecayedState:
        inner = optimizer.init(params)
        if scaled_by_learning_rate and count_rates(inner) > 1:
            raise ValueError(
                "optimizer must have one learning rate for a decay that is scaled by it; with "
                f"groups put the decay inside each, got {count_rates(inner)} rates"
            )
        if scaled_by_learning_rate and last_rate(inner) is None:
            raise ValueError(
                "optimizer must tell its learning rate, as those of jaxnn.optim do, for a decay "
                "that is scaled by it; scaled_by_learning_rate=False works around any"
            )
        return DecayedState(count=jnp.zeros((), jnp.int32), inner=inner)

    def update(
        updates: optax.Updates,
        state: DecayedState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, DecayedState]:
        updates, inner = optimizer.update(updates, state.inner, params, **extra_args)
        factor = value_at(rate, state.count)
        if scaled_by_learning_rate:
            learning_rate = last_rate(inner)
            assert learning_rate is not None  # refused by init
            factor = factor * learning_rate
        decay = _add_multiple(-factor, mask, "with_weight_decay")
        updates, _ = decay.update(updates, DecayState(state.count), params)
        return updates, DecayedState(count=next_count(state.count), inner=inner)

    return transformation(init, update)
