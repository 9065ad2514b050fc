"""Decoupled weight decay, which shrinks weights beside the gradient step, not through it.

There are three forms. `add_decayed_weights` is a link of a chain, as in Optax.
`with_decoupled_weight_decay` adds the decay to a whole optimizer, whatever it is made of.
`multiply_weights` is lecture M's form, independent of the learning rate.

With plain gradient descent, L2 through the gradient (`jaxnn.regularizers.l2`) does the same.
With Adam it does not: Adam divides the penalty's gradient by the root of the second moment, so
that weights with large gradients are hardly regularized.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    check_transformation,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.rate import count_rates, last_rate
from jaxnn.tree import Mask, check_held, mask_tree

__all__ = [
    "DecayState",
    "DecayedState",
    "add_decayed_weights",
    "multiply_weights",
    "with_decoupled_weight_decay",
]


class DecayState(NamedTuple):
    """State of `add_decayed_weights` and `multiply_weights`."""

    count: jax.Array  # () int32: updates so far


def _add_multiple(
    factor: Knob, mask: Mask | None, name: str, argument: str
) -> optax.GradientTransformationExtraArgs:
    """Build a transformation that adds a multiple of the masked parameters to their updates."""

    def init(params: optax.Params) -> DecayState:
        check_held(argument, factor, params)
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
            lambda u, p, included: u + jnp.asarray(c, jnp.result_type(u)) * p if included else u,
            updates,
            params,
            mask_tree(mask, params),
        )
        return updates, DecayState(count=next_count(state.count))

    return transformation(init, update)


def add_decayed_weights(
    weight_decay: Knob, mask: Mask | None = "weights_only"
) -> optax.GradientTransformationExtraArgs:
    r"""Add $\lambda W$ to the updates, as a link before the learning rate.

    This is `optax.add_decayed_weights`, except that biases and norm scales are left alone unless
    `mask` says otherwise. It stands before the learning rate and gives
    $W \leftarrow (1 - \alpha_t\lambda) W$ beside the gradient step:

        optax.chain(scale_by_adam(), add_decayed_weights(1e-2), scale_by_learning_rate(1e-3))

    For a decay around a whole optimizer see `with_decoupled_weight_decay`, and for one that
    does not depend on the learning rate `multiply_weights`.

    Args:
      weight_decay: λ, at least 0; a float, a traced scalar or a schedule.
      mask: which parameters decay, see `jaxnn.tree.mask_tree`. None: all of them, as in Optax.

    Returns:
      A transformation whose state is `DecayState`.

    Raises:
      ValueError: a concrete λ is below 0, or vanishes or overflows in the dtype of a parameter;
        an update is not given the parameters.

    >>> tx = add_decayed_weights(0.1)
    >>> params = {"kernel": jnp.ones((1, 2)), "bias": jnp.ones(2)}
    >>> zero = jax.tree.map(jnp.zeros_like, params)
    >>> tx.update(zero, tx.init(params), params)[0]
    {'bias': Array([0., 0.], dtype=float32), 'kernel': Array([[0.1, 0.1]], dtype=float32)}

    Source: Loshchilov and Hutter 2019; lecture L, which derives it from L2 with plain gradient
    descent, and lecture M.
    """
    check_scheduled("weight_decay", weight_decay, 0)
    return _add_multiple(weight_decay, mask, "add_decayed_weights", "weight_decay")


def multiply_weights(
    factor: Knob, *, mask: Mask | None = "weights_only"
) -> optax.GradientTransformationExtraArgs:
    r"""Multiply all weights by a constant at each step, $W \leftarrow c\,W + u$.

    This is lecture M's form of weight decay. It stands last in a chain and does not depend on
    the learning rate, unlike `add_decayed_weights`. With $c = 1 - \lambda$ it equals
    `with_decoupled_weight_decay(optimizer, λ, scaled_by_learning_rate=False)`, where a small
    traced λ keeps its digits.

    Args:
      factor: c, in [0, 1], typically just below 1; a float, a traced scalar or a schedule.
        (Lecture M's 0.55 is probably a slip for 0.9 and something.)
      mask: which parameters are multiplied, see `jaxnn.tree.mask_tree`.

    Returns:
      A transformation whose state is `DecayState`.

    Raises:
      ValueError: a concrete factor is outside [0, 1], or an update is not given the parameters.

    >>> tx = multiply_weights(0.5)
    >>> params = {"kernel": jnp.ones((1, 2))}
    >>> tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)[0]
    {'kernel': Array([[-0.5, -0.5]], dtype=float32)}

    Source: lecture M.
    """
    check_scheduled("factor", factor, 0, 1)
    lost = (lambda count: factor(count) - 1) if callable(factor) else -(1 - factor)
    return _add_multiple(lost, mask, "multiply_weights", "factor - 1")


class DecayedState(NamedTuple):
    """State of `with_decoupled_weight_decay`."""

    count: jax.Array  # () int32: updates so far
    inner: optax.OptState  # state of the optimizer that decays


def with_decoupled_weight_decay(
    optimizer: optax.GradientTransformation,
    weight_decay: Knob,
    *,
    mask: Mask | None = "weights_only",
    scaled_by_learning_rate: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""Add decoupled weight decay to any optimizer, beside the optimizer's own update u.

    $$W \leftarrow W + u - \alpha_t\lambda W \qquad\text{or}\qquad W + u - \lambda W$$

    The rate $\alpha_t$ is the one that the optimizer itself applied in this update, including
    its schedule and the scale of controllers, whether its velocity contains the rate or not.
    In a chain of your own, `add_decayed_weights` does the same as a link.

    Args:
      optimizer: one of jaxnn's, or any other if the decay is not scaled by the learning rate.
      weight_decay: λ, at least 0, and at most 1 if it is not scaled; a float, a traced scalar
        or a schedule.
      mask: which parameters decay, see `jaxnn.tree.mask_tree`.
      scaled_by_learning_rate: whether λ is multiplied by the learning rate.

    Returns:
      A transformation whose state is `DecayedState`.

    Raises:
      ValueError: a concrete λ is outside its range, or a scaled decay is put around an optimizer
        whose state holds no learning rate or several.

    >>> from jaxnn.optim import momentum
    >>> tx = with_decoupled_weight_decay(momentum(0.1, rate_in_velocity=True), 0.5)
    >>> params = {"kernel": jnp.ones((1, 1))}
    >>> tx.update({"kernel": jnp.zeros((1, 1))}, tx.init(params), params)[0]
    {'kernel': Array([[-0.05]], dtype=float32)}

    Source: Loshchilov and Hutter 2019; lectures L and M.
    """
    scaled_by_learning_rate = check_flag("scaled_by_learning_rate", scaled_by_learning_rate)
    check_scheduled("weight_decay", weight_decay, 0, *(() if scaled_by_learning_rate else (1,)))
    check_transformation("optimizer", optimizer)
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: optax.Params) -> DecayedState:
        check_held("weight_decay", weight_decay, params)
        inner = optimizer.init(params)
        if scaled_by_learning_rate and count_rates(inner) > 1:
            raise ValueError(
                "optimizer must have one learning rate if the decay is scaled by it, got "
                f"{count_rates(inner)} rates: put the decay inside each group"
            )
        if scaled_by_learning_rate and last_rate(inner) is None:
            raise ValueError(
                "optimizer must have a learning rate in its state, as those of jaxnn.optim do, if "
                "the decay is scaled by it, got none: use scaled_by_learning_rate=False"
            )
        return DecayedState(count=jnp.zeros((), jnp.int32), inner=inner)

    def update(
        updates: optax.Updates,
        state: DecayedState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, DecayedState]:
        updates, inner = optimizer.update(updates, state.inner, params, **extra_args)
        factor = value_at(weight_decay, state.count)
        if scaled_by_learning_rate:
            learning_rate = last_rate(inner)
            assert learning_rate is not None  # init has refused such an optimizer
            factor = factor * learning_rate
        decay = _add_multiple(-factor, mask, "with_decoupled_weight_decay", "weight_decay")
        updates, _ = decay.update(updates, DecayState(state.count), params)
        return updates, DecayedState(count=next_count(state.count), inner=inner)

    return transformation(init, update)
