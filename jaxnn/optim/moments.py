"""Running moments of gradients, without losing digits where their decay is near 1."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["bias_correction", "moment", "towards"]


def towards(decay: float | jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
    """$b\\,x + (1-b)\\,y$ in the wider of the two dtypes."""
    # 1 - b before the cast: in bfloat16 0.999 is 1, and in float32 1 - 0.999 has lost
    # five of its seven digits unless b is a Python float.
    dtype = jnp.promote_types(old.dtype, new.dtype)
    return jnp.asarray(decay, dtype) * old + jnp.asarray(1 - decay, dtype) * new


def moment(
    decay: float | jax.Array, updates: optax.Updates, moments: Any, order: int
) -> optax.Updates:
    r"""The running moment after one more gradient, $b\,m + (1-b)\,g^\text{order}$."""
    return jax.tree.map(lambda g, m: towards(decay, m, g**order), updates, moments)


def bias_correction(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    r"""$1 - b^t$, by which a moment that started at 0 falls short, without cancellation."""
    return -jnp.expm1(count * jnp.log1p(jnp.asarray(-(1 - decay), float)))
