"""Running moments of gradients, computed so that a decay near 1 keeps its digits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["bias_correction", "moment", "towards"]


def towards(decay: float | jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
    """Average two arrays, $b\\,x + (1-b)\\,y$, in the wider of their dtypes."""
    # 1 - b is computed before the cast: in bfloat16 0.999 is 1, and in float32 1 - 0.999 has
    # lost five of its seven digits unless b is a Python float.
    dtype = jnp.promote_types(old.dtype, new.dtype)
    return jnp.asarray(decay, dtype) * old + jnp.asarray(1 - decay, dtype) * new


def moment(
    decay: float | jax.Array, updates: optax.Updates, moments: Any, order: int
) -> optax.Updates:
    r"""Update a running moment by one more gradient, $b\,m + (1-b)\,g^\text{order}$."""
    return jax.tree.map(lambda g, m: towards(decay, m, g**order), updates, moments)


def bias_correction(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    r"""Compute $1 - b^t$ without cancellation.

    A moment that started at 0 is too small by this factor after t updates.
    """
    return -jnp.expm1(count * jnp.log1p(jnp.asarray(-(1 - decay), float)))
