"""Running moments of gradients, computed so that a decay near 1 keeps its digits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = [
    "absolute_square",
    "bias_correction",
    "moment",
    "real_like",
    "second_moment",
    "square_root",
    "towards",
]


def towards(decay: float | jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
    """Average two arrays, $b\\,x + (1-b)\\,y$, in the wider of their dtypes."""
    # 1 - b is computed before the cast: in bfloat16 0.999 is 1, and in float32 1 - 0.999 has
    # lost five of its seven digits unless b is a Python float.
    dtype = jnp.promote_types(jnp.result_type(old), jnp.result_type(new))
    return jnp.asarray(decay, dtype) * old + jnp.asarray(1 - decay, dtype) * new


def moment(decay: float | jax.Array, updates: optax.Updates, moments: Any) -> optax.Updates:
    r"""Update a running mean by one more gradient, $b\,m + (1-b)\,g$."""
    return jax.tree.map(lambda g, m: towards(decay, m, g), updates, moments)


def second_moment(decay: float | jax.Array, updates: optax.Updates, moments: Any) -> optax.Updates:
    r"""Update a running mean of squares by one more gradient, $b\,v + (1-b)\,|g|^2$."""
    return jax.tree.map(lambda g, v: towards(decay, v, absolute_square(g)), updates, moments)


def absolute_square(x: jax.Array) -> jax.Array:
    """Compute $|x|^2$, which is real, also of complex numbers."""
    return jnp.square(jnp.real(x)) + jnp.square(jnp.imag(x)) if jnp.iscomplexobj(x) else x**2


def real_like(x: jax.Array, value: float | jax.Array = 0.0) -> jax.Array:
    """Return an array of the shape of x filled with a real value, also for a complex x."""
    dtype = jnp.real(jnp.empty((0,), jnp.result_type(x))).dtype
    return jnp.full_like(x, jnp.asarray(value, dtype), dtype=dtype)


def square_root(square: jax.Array, inside: Any, outside: Any) -> jax.Array:
    r"""Compute $\sqrt{s + \epsilon_\text{in}} + \epsilon_\text{out}$ as a divisor.

    Where it is 0 the divisor is infinite instead, so that the quotient is 0: without any ε a
    parameter that never had a gradient does not move.
    """
    total = square + jnp.asarray(inside, square.dtype)
    outside = jnp.asarray(outside, square.dtype)
    nothing = (total == 0) & (outside == 0)
    return jnp.sqrt(jnp.where(nothing, jnp.inf, total)) + outside


def bias_correction(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    r"""Compute $1 - b^t$ without cancellation.

    A moment that started at 0 is too small by this factor after t updates.
    """
    return -jnp.expm1(count * jnp.log1p(jnp.asarray(-(1 - decay), float)))
