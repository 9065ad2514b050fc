"""RAdam: Adam whose first steps wait until the second moment can be trusted."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag
from jaxnn.optim.adaptive.adam import AdamState
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    number,
    transformation,
    value_at,
)
from jaxnn.optim.moments import bias_correction, moment, real_like, second_moment, square_root
from jaxnn.optim.rate import scale_by_learning_rate
from jaxnn.tree import check_held

__all__ = ["radam", "scale_by_radam"]


# Of y, y³, y⁵, … in coth y − 1/y, the highest first.
_SERIES = (4 / 18243225, -1382 / 638512875, 2 / 93555, -1 / 4725, 2 / 945, -1 / 45, 1 / 3)


def _coth_less_pole(y: jax.Array) -> jax.Array:
    """Compute coth y − 1/y for y above 0, whose two terms cancel near 0."""
    near = jnp.minimum(y, 0.5)
    square, series = near**2, 0.0
    for coefficient in _SERIES:  # Horner's scheme
        series = series * square + coefficient
    series = series * near
    far = jnp.maximum(y, 0.3)
    return jnp.where(y < 0.3, series, 1 / jnp.tanh(far) - 1 / far)


def _lengths(b2: Any, count: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Compute ρ_t and ρ_∞, the lengths of the average that the second moment is.

    The textbook's $\rho_t = \rho_\infty - 2t b_2^t/(1 - b_2^t)$ loses three digits of seven at
    the first steps. With $x = -\log b_2$ both terms are hyperbolic cotangents, whose poles cancel:
    $\rho_t = \coth\tfrac x2 - t\coth\tfrac{tx}2 + t$.
    """
    t = count.astype(float)
    x = -jnp.log1p(jnp.asarray(-(1 - b2), float))
    rho = t + _coth_less_pole(x / 2) - t * _coth_less_pole(t * x / 2)
    return rho, 1 / jnp.tanh(x / 2)


def scale_by_radam(
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    threshold: float | jax.Array = 5.0,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Compute RAdam's direction, as a link of a chain, without the learning rate.

    The arguments are those of `radam`.

    >>> tx = scale_by_radam()
    >>> update, _ = tx.update(jnp.array([4.0, -0.25]), tx.init(jnp.zeros(2)))
    >>> [round(float(entry), 3) for entry in update]
    [4.0, -0.25]
    """
    check_scheduled("b1", b1, 0, 1, high_open=True)
    check_scheduled("b2", b2, 0, 1, high_open=True)
    check_scheduled("eps", eps, 0)
    check_scheduled("eps_root", eps_root, 0)
    threshold = number("threshold", threshold, 4, low_open=True)
    nesterov = check_flag("nesterov", nesterov)

    def init(params: optax.Params) -> AdamState:
        check_held("eps", eps, params)
        check_held("eps_root", eps_root, params)
        mu, nu = jax.tree.map(jnp.zeros_like, params), jax.tree.map(real_like, params)
        return AdamState(jnp.zeros((), jnp.int32), mu, nu, (), ())

    def update(
        updates: optax.Updates,
        state: AdamState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, AdamState]:
        del params, extra_args
        count = next_count(state.count)
        beta1, beta2 = value_at(b1, state.count), value_at(b2, state.count)
        e, e_root = value_at(eps, state.count), value_at(eps_root, state.count)
        mu = moment(beta1, updates, state.mu)
        nu = second_moment(beta2, updates, state.nu)
        short, short2 = bias_correction(beta1, count), bias_correction(beta2, count)
        after = bias_correction(beta1, count + 1)

        rho, limit = _lengths(beta2, count)
        trusted = rho >= threshold
        rho, limit = jnp.where(trusted, rho, 6.0), jnp.where(trusted, limit, 6.0)
        ratio = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)

        def direction(g: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
            if nesterov:
                b, gain = jnp.asarray(beta1 / after, m.dtype), (1 - beta1) / short
                mean = b * m + jnp.asarray(gain, m.dtype) * g
            else:
                mean = m / short.astype(m.dtype)
            root = square_root(v / short2.astype(v.dtype), e_root, e)
            rectified = jnp.sqrt(ratio).astype(v.dtype) * mean / root
            return jnp.where(trusted, rectified, mean).astype(jnp.result_type(g))

        updates = jax.tree.map(direction, updates, mu, nu)
        return updates, AdamState(count, mu, nu, (), ())

    return transformation(init, update)


def radam(
    learning_rate: Knob,
    b1: Knob = 0.9,
    b2: Knob = 0.999,
    eps: Knob = 1e-8,
    eps_root: Knob = 0.0,
    threshold: float | jax.Array = 5.0,
    *,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    r"""Build RAdam ("rectified Adam"), which begins with momentum alone.

    $$\rho_\infty = \frac{2}{1-b_2} - 1, \qquad
    \rho_t = \rho_\infty - \frac{2 t\, b_2^t}{1 - b_2^t}, \qquad
    r_t^2 = \frac{(\rho_t-4)(\rho_t-2)\rho_\infty}{(\rho_\infty-4)(\rho_\infty-2)\rho_t}$$
    $$\theta \leftarrow \theta - \alpha_t\, r_t\,
    \frac{\hat m}{\sqrt{\hat v + \epsilon_\text{root}} + \epsilon}
    \;\text{ if } \rho_t \ge \rho_\text{min}, \qquad
    \theta \leftarrow \theta - \alpha_t \hat m \;\text{ otherwise}$$

    Args:
      learning_rate: α, at least 0.
      b1: decay of the first moment, in [0, 1).
      b2: decay of the second moment, in [0, 1).
      eps: ε outside the root, at least 0.
      eps_root: ε inside the root, at least 0.
      threshold: the least length ρ at which the second moment is used, above 4, where r is 0.
        (The paper takes 4, Optax and PyTorch 5.)
      nesterov: whether to use Nesterov's momentum, see `nadam`.

    Each float may be a traced scalar, and all but `threshold` a schedule.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: a concrete value is outside its range, or, at `init`, vanishes or overflows in
        the dtype of a parameter.

    >>> tx = radam(0.1)
    >>> params = jnp.array([1.0])
    >>> tx.update(jnp.array([5.0]), tx.init(params), params)[0].round(3)
    Array([-0.5], dtype=float32)

    Source: Liu et al. 2020.
    """
    direction = scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov)
    return optax.chain(direction, scale_by_learning_rate(learning_rate))
