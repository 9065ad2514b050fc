"""RMSProp: gradients are divided by their running root mean square."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag, check_knob
from jaxnn.optim.adaptive.adagrad import over_root
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    transformation,
    value_at,
)
from jaxnn.optim.moments import absolute_square, moment, real_like, second_moment
from jaxnn.optim.moments import bias_correction as correction
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.optim.velocity import trace
from jaxnn.tree import check_held

__all__ = ["RmsState", "rmsprop", "scale_by_rms"]


class RmsState(NamedTuple):
    """State of `scale_by_rms`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # running mean of gradients; () unless centered
    nu: optax.Updates  # running mean of squared gradients


def scale_by_rms(
    decay: Knob = 0.9,
    eps: Knob = 1e-8,
    initial_scale: float | jax.Array = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Divide gradients by their running root mean square, as `rmsprop` does.

    This is RMSProp's direction as a link of a chain, without the learning rate. The arguments
    are those of `rmsprop`, in Optax's order.

    >>> tx = scale_by_rms(decay=0.75, eps=0.0)
    >>> update, _ = tx.update(jnp.array([3.0, -0.2]), tx.init(jnp.zeros(2)))
    >>> update.round(3)
    Array([ 2., -2.], dtype=float32)
    """
    check_scheduled("decay", decay, 0, 1)
    check_scheduled("eps", eps, 0)
    check_knob("initial_scale", initial_scale, 0)
    eps_in_sqrt = check_flag("eps_in_sqrt", eps_in_sqrt)
    centered = check_flag("centered", centered)
    bias_correction = check_flag("bias_correction", bias_correction)

    def init(params: optax.Params) -> RmsState:
        check_held("eps", eps, params)
        check_held("initial_scale", initial_scale, params)
        mu = jax.tree.map(jnp.zeros_like, params) if centered else ()
        nu = jax.tree.map(lambda p: real_like(p, initial_scale), params)
        return RmsState(jnp.zeros((), jnp.int32), mu, nu)

    def update(
        updates: optax.Updates,
        state: RmsState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RmsState]:
        del params, extra_args
        count = next_count(state.count)
        b, e = value_at(decay, state.count), value_at(eps, state.count)
        nu = second_moment(b, updates, state.nu)
        mu = moment(b, updates, state.mu) if centered else ()
        mean, square = mu, nu
        if bias_correction:
            scale = 1 / correction(b, count)
            mean, square = jax.tree.map(lambda m: m * scale.astype(m.dtype), (mu, nu))
        if centered:
            # By rounding, the difference of two nearly equal numbers can fall just below 0.
            square = jax.tree.map(lambda v, m: jnp.maximum(v - absolute_square(m), 0), square, mean)
        updates = jax.tree.map(lambda g, v: over_root(g, v, e, eps_in_sqrt), updates, square)
        return updates, RmsState(count=count, mu=mu, nu=nu)

    return transformation(init, update)


def rmsprop(
    learning_rate: Knob,
    decay: Knob = 0.9,
    eps: Knob = 1e-8,
    *,
    eps_in_sqrt: bool = True,
    initial_scale: float | jax.Array = 0.0,
    centered: bool = False,
    momentum: Knob | None = None,
    nesterov: bool = False,
    rate_in_velocity: bool = True,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Build RMSProp, which divides gradients by their running root mean square.

    $$G \leftarrow \lambda G + (1-\lambda) g^2, \qquad
    \theta \leftarrow \theta - \alpha_t \frac{g}{\sqrt{G + \epsilon}}$$

    Without ε, as lecture C writes it, a parameter whose G is 0 does not move. Of complex numbers
    $g^2$ is $|g|^2$.

    Args:
      learning_rate: α, at least 0. Lecture L: 1e-2 or 1e-3.
      decay: λ, in [0, 1], typically 0.9. PyTorch calls it `alpha` and starts from 0.99.
      eps: ε, at least 0.
      eps_in_sqrt: whether ε is inside the root (lectures, Optax, Keras) or outside (PyTorch).
      initial_scale: G before the first update: 0 (Optax, Keras, PyTorch) or 1 (TensorFlow 1).
      centered: whether to divide by the running standard deviation,
        $\sqrt{G - \bar g^2 + \epsilon}$, instead of the root mean square.
      momentum: μ, in [0, 1], of a velocity over the scaled gradients. None: no velocity.
      nesterov: whether that velocity is Nesterov's, in the form "current" of
        `jaxnn.optim.nesterov`.
      rate_in_velocity: whether the learning rate is inside that velocity (Optax, Keras) or
        outside (PyTorch). The two differ as soon as the rate changes.
      bias_correction: whether to divide G by $1 - \lambda^t$, as Adam does.

    Each float may be a traced scalar, and all but `initial_scale` a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, `nesterov` is given without `momentum`,
        or, at `init`, ε vanishes or overflows in the dtype of a parameter.

    >>> tx = rmsprop(0.1, decay=0.75, eps=0.0)
    >>> params = jnp.array([0.0])
    >>> tx.update(jnp.array([5.0]), tx.init(params), params)[0].round(3)
    Array([-0.2], dtype=float32)

    Source: Hinton 2012; lectures C, L and M.
    """
    direction = scale_by_rms(decay, eps, initial_scale, eps_in_sqrt, centered, bias_correction)
    rate = scale_by_learning_rate(learning_rate)
    rate_in_velocity = check_flag("rate_in_velocity", rate_in_velocity)
    if momentum is None:
        if check_flag("nesterov", nesterov):
            raise ValueError("momentum must be given where nesterov=True, got None")
        return optax.chain(direction, rate)
    check_scheduled("momentum", momentum, 0, 1)
    velocity = trace(momentum, nesterov)
    if rate_in_velocity:
        return optax.chain(direction, rate, velocity)
    return optax.chain(direction, velocity, rate)
