"""What the formulas of several losses share."""

from __future__ import annotations

import jax
import jax.numpy as jnp

__all__ = ["mean_of_outputs", "times", "wide"]


def wide(x: jax.Array) -> jax.Array:
    """Cast to float32 or wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def times(probability: jax.Array, loss: jax.Array) -> jax.Array:
    """Multiply so that 0 · ∞ is 0; the derivative by a probability of 0 stays right."""
    return probability * jnp.where((probability == 0) & jnp.isinf(loss), 0, loss)


def mean_of_outputs(losses: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Take the mean of (n, …) over all but the first axis, over what counts."""
    losses = losses.reshape(losses.shape[0], -1)
    if mask is None:
        return losses.mean(axis=1)
    mask = mask.reshape(losses.shape)
    count = mask.sum(axis=1, dtype=losses.dtype)
    return jnp.where(mask, losses, 0).sum(axis=1) / jnp.where(count > 0, count, 1)
