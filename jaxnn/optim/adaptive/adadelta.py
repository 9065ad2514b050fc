"""AdaDelta: steps in the units of the parameters, from running squares of gradients and steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.decay import add_decayed_weights
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import real_like, root, second_moment, square_root
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import Mask, check_held

__all__ = ["AdadeltaState", "adadelta", "scale_by_adadelta"]


class AdadeltaState(NamedTuple):
    """State of `scale_by_adadelta`."""

    count: jax.Array  # () int32: updates so far
    e_g: optax.Updates  # running mean of squared gradients
    e_x: optax.Updates  # running mean of squared steps, without the learning rate


def scale_by_adadelta(rho: Knob = 0.9, eps: Knob = 1e-6) -> optax.GradientTransformationExtraArgs:
    r"""Compute AdaDelta's direction, as a link of a chain, without the learning rate.

    The arguments are those of `adadelta`.

    >>> tx = scale_by_adadelta(rho=0.75, eps=1.0)
    >>> update, _ = tx.update(jnp.array([4.0]), tx.init(jnp.zeros(1)))
    >>> update.round(3)
    Array([1.789], dtype=float32)
    """
    check_scheduled("rho", rho, 0, 1)
    check_scheduled("eps", eps, 0)

    def init(params: optax.Params) -> AdadeltaState:
        check_held("eps", eps, params)
        e_g, e_x = jax.tree.map(real_like, params), jax.tree.map(real_like, params)
        return AdadeltaState(jnp.zeros((), jnp.int32), e_g, e_x)

    def update(
        updates: optax.Updates,
        state: AdadeltaState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AdadeltaState]:
        del params, extra_args
        decay, e = value_at(rho, state.count), value_at(eps, state.count)
        e_g = second_moment(decay, updates, state.e_g)

        def step(g: jax.Array, square: jax.Array, moved: jax.Array) -> jax.Array:
            return root(moved + jnp.asarray(e, moved.dtype)) / square_root(square, e, 0.0) * g

        updates = jax.tree.map(step, updates, e_g, state.e_x)
        e_x = second_moment(decay, updates, state.e_x)
        return updates, AdadeltaState(next_count(state.count), e_g, e_x)

    return transformation(init, update)


def adadelta(
    learning_rate: Knob = 1.0,
    rho: Knob = 0.9,
    eps: Knob = 1e-6,
    weight_decay: Knob | None = None,
    weight_decay_mask: Mask | None = "weights_only",
) -> optax.GradientTransformationExtraArgs:
    r"""Build AdaDelta, whose steps have the size of earlier steps.

    $$G \leftarrow \rho G + (1-\rho) g^2, \qquad
    \Delta = \sqrt{\frac{D + \epsilon}{G + \epsilon}}\; g, \qquad
    D \leftarrow \rho D + (1-\rho) \Delta^2, \qquad
    \theta \leftarrow \theta - \alpha_t \Delta$$

    Both means start at 0, so ε sets the size of the first steps: with ε = 0 nothing moves.

    Args:
      learning_rate: α, at least 0. The paper has none, that is, 1; Keras starts from 1e-3.
      rho: ρ, in [0, 1]. The paper takes 0.95.
      eps: ε, at least 0.
      weight_decay: λ, at least 0: $\lambda\theta$ is added to the gradient, as L2 regularization
        would do. None: no decay, and updates do not need the parameters.
      weight_decay_mask: which parameters decay, see `jaxnn.tree.mask_tree`. None: all of them,
        as in Optax.

    Each float may be a traced scalar or a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, or, at `init`, vanishes or overflows in
        the dtype of a parameter.

    >>> tx = adadelta(1.0, rho=0.75, eps=1.0)
    >>> params = jnp.array([0.0])
    >>> tx.update(jnp.array([4.0]), tx.init(params), params)[0].round(3)
    Array([-1.789], dtype=float32)

    Source: Zeiler 2012.
    """
    links = [scale_by_adadelta(rho, eps), scale_by_learning_rate(learning_rate)]
    if weight_decay is not None:
        links.insert(0, add_decayed_weights(weight_decay, weight_decay_mask))
    return optax.chain(*links)
