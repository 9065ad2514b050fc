"""The keys of members that have their own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.keys import as_key

__all__ = ["stacked_keys"]


def stacked_keys(keys: Any) -> jax.Array:
    """One key a member, (members,) typed keys.

    Raises:
      ValueError, TypeError: no sequence of keys, or none.
    """
    if isinstance(keys, jax.Array) and jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        if keys.ndim != 1 or not keys.size:
            raise ValueError(f"keys must be an array (members,), got the shape {keys.shape}")
        return keys
    if not hasattr(keys, "__len__") or isinstance(keys, (str, bytes)) or not len(keys):
        raise TypeError(f"keys must be one key a member, got {keys!r}")
    return jnp.stack([as_key(each) for each in keys])
