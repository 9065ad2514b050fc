"""AdaGrad and RMSProp: every parameter is scaled by the history of its own gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_knob
from jaxnn.optim.moments import bias_correction, moment
from jaxnn.optim.momentum import trace
from jaxnn.optim.rate import (
    Knob,
    check_scheduled,
    next_count,
    scale_by_learning_rate,
    transformation,
    value_at,
)

__all__ = ["RmsState", "RssState", "adagrad", "rmsprop", "scale_by_rms", "scale_by_rss"]


def _over_root(g: jax.Array, square: jax.Array, eps: Any, eps_in_sqrt: bool) -> jax.Array:
    eps = jnp.asarray(eps, square.dtype)
    return g / jnp.sqrt(square + eps) if eps_in_sqrt else g / (jnp.sqrt(square) + eps)


class RssState(NamedTuple):
    """State of `scale_by_rss`."""

    count: jax.Array  # () int32: updates so far
    sum_of_squares: optax.Updates  # like the parameters


def scale_by_rss(
    initial_accumulator_value: float | jax.Array = 0.1,
    eps: Knob = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaGrad's direction, without the rate: see `adagrad`.

    >>> tx = scale_by_rss(0.0, eps=0.0)
    >>> update, _ = tx.update(jnp.array([3.0, 0.0]), tx.init(jnp.zeros(2)))
    >>> update
    Array([1., 0.], dtype=float32)
    """
    check_knob("initial_accumulator_value", initial_accumulator_value, 0)
    check_scheduled("eps", eps, 0)

    def init(params: optax.Params) -> RssState:
        start = jax.tree.map(
            lambda p: jnp.full_like(p, jnp.asarray(initial_accumulator_value, p.dtype)), params
        )
        return RssState(count=jnp.zeros((), jnp.int32), sum_of_squares=start)

    def update(
        updates: optax.Updates,
        state: RssState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RssState]:
        del params, extra_args
        squares = jax.tree.map(lambda g, s: s + g**2, updates, state.sum_of_squares)
        e = value_at(eps, state.count)

        def scaled(g: jax.Array, s: jax.Array) -> jax.Array:
            # A parameter that never had a gradient stays where it is, even with ε = 0.
            never = s == 0
            scaled = _over_root(g, jnp.where(never, jnp.ones_like(s), s), e, eps_in_sqrt)
            return jnp.where(never, jnp.zeros_like(g), scaled)

        updates = jax.tree.map(scaled, updates, squares)
        return updates, RssState(count=next_count(state.count), sum_of_squares=squares)

    return transformation(init, update)


def adagrad(
    learning_rate: Knob,
    initial_accumulator_value: float | jax.Array = 0.1,
    eps: Knob = 1e-7,
    *,
    eps_in_sqrt: bool = True,
) -> optax.GradientTransformationExtraArgs:
    r"""AdaGrad: the rate of each parameter falls with the sum of its squared gradients.

    $$G \leftarrow G + g^2, \qquad
    \theta \leftarrow \theta - \alpha_t \frac{g}{\sqrt{G + \epsilon}}$$

    or, with ε outside the root, $g / (\sqrt G + \epsilon)$. The current gradient is in G.
    (Lecture L writes the sum up to t − 1, which is a slip: the first step would divide by
    the start value alone.)

    Args:
      learning_rate: α, at least 0.
      initial_accumulator_value: G at the start, at least 0: 0.1 in Optax and Keras, 0 in
        PyTorch and the lectures.
      eps: ε, at least 0.
      eps_in_sqrt: inside the root (lectures L and M, Optax, Keras) or outside (PyTorch).

    Each float may be a traced scalar, and all but the start value a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value outside its range.

    >>> tx = adagrad(1.0, 0.0, eps=1.0)
    >>> params = jnp.array([0.0])
    >>> tx.update(jnp.array([1.0]), tx.init(params), params)[0]
    Array([-0.70710677], dtype=float32)

    Source: Duchi et al. 2011; lectures C, L and M.
    """
    return optax.chain(
        scale_by_rss(initial_accumulator_value, eps, eps_in_sqrt=eps_in_sqrt),
        scale_by_learning_rate(learning_rate),
    )


class RmsState(NamedTuple):
    """State of `scale_by_rms`."""

    count: jax.Array  # () int32: updates so far
    mu: optax.Updates  # running mean of gradients; () where it is not centered
    nu: optax.Updates  # running mean of squared gradients


def scale_by_rms(
    decay: Knob = 0.9,
    eps: Knob = 1e-8,
    initial_scale: float | jax.Array = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    bias_correction: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""RMSProp's direction, without the rate: see `rmsprop`.

    >>> tx = scale_by_rms(decay=0.75, eps=0.0)
    >>> update, _ = tx.update(jnp.array([3.0, -0.2]), tx.init(jnp.zeros(2)))
    >>> update.round(3)
    Array([ 2., -2.], dtype=float32)
    """
    check_scheduled("decay", decay, 0, 1)
    check_scheduled("eps", eps, 0)
    check_knob("initial_scale", initial_scale, 0)
    corrected = bias_correction

    def init(params: optax.Params) -> RmsState:
        def start(p: jax.Array) -> jax.Array:
            return jnp.full_like(p, jnp.asarray(initial_scale, p.dtype))

        mu = jax.tree.map(jnp.zeros_like, params) if centered else ()
        return RmsState(jnp.zeros((), jnp.int32), mu, jax.tree.map(start, params))

    def update(
        updates: optax.Updates,
        state: RmsState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, RmsState]:
        del params, extra_args
        count = next_count(state.count)
        b, e = value_at(decay, state.count), value_at(eps, state.count)
        nu = moment(b, updates, state.nu, 2)
        mu = moment(b, updates, state.mu, 1) if centered else ()
        mean, square = mu, nu
        if corrected:
            scale = 1 / _correction(b, count)
            mean, square = jax.tree.map(lambda m: m * scale.astype(m.dtype), (mu, nu))
        if centered:
            # Rounding may leave a variance just below 0.
            square = jax.tree.map(lambda v, m: jnp.maximum(v - m**2, 0), square, mean)
        updates = jax.tree.map(lambda g, v: _over_root(g, v, e, eps_in_sqrt), updates, square)
        return updates, RmsState(count=count, mu=mu, nu=nu)

    return transformation(init, update)


_correction = bias_correction  # `scale_by_rms` has an argument of that name, which is Optax's


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
    r"""RMSProp: gradients divided by their running root mean square.

    $$G \leftarrow \lambda G + (1-\lambda) g^2, \qquad
    \theta \leftarrow \theta - \alpha_t \frac{g}{\sqrt{G + \epsilon}}$$

    Args:
      learning_rate: α, at least 0.
      decay: λ, in [0, 1]; 0.9 as a rule. PyTorch's `alpha` is 0.99.
      eps: ε, at least 0.
      eps_in_sqrt: inside the root (lectures, Optax, Keras) or outside (PyTorch).
      initial_scale: G at the start: 0 (Optax, Keras, PyTorch) or 1 (TensorFlow 1).
      centered: divides by the running standard deviation, $\sqrt{G - \bar g^2 + \epsilon}$.
      momentum: μ of a velocity over the scaled gradients, in [0, 1]; None: none.
      nesterov: whether that velocity is Nesterov's, in the form "current".
      rate_in_velocity: whether the rate stands inside it (Optax, Keras) or outside
        (PyTorch). It matters as soon as the rate changes.
      bias_correction: divides G by $1 - \lambda^t$, as Adam does.

    Each float may be a traced scalar, and all but `initial_scale` a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value outside its range; `nesterov` without `momentum`.

    >>> tx = rmsprop(0.1, decay=0.75, eps=0.0)
    >>> params = jnp.array([0.0])
    >>> tx.update(jnp.array([5.0]), tx.init(params), params)[0].round(3)
    Array([-0.2], dtype=float32)

    Source: Hinton 2012; lectures C, L and M.
    """
    direction = scale_by_rms(decay, eps, initial_scale, eps_in_sqrt, centered, bias_correction)
    rate = scale_by_learning_rate(learning_rate)
    if momentum is None:
        if nesterov:
            raise ValueError("momentum must be given where nesterov=True, got None")
        return optax.chain(direction, rate)
    check_scheduled("momentum", momentum, 0, 1)
    velocity = trace(momentum, nesterov)
    if rate_in_velocity:
        return optax.chain(direction, rate, velocity)
    return optax.chain(direction, velocity, rate)
