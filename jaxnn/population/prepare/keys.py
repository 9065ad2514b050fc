"""The keys of members that have their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
    listed = isinstance(keys, Sequence) and not isinstance(keys, (str, bytes))
    if not listed and not (isinstance(keys, (np.ndarray, jax.Array)) and keys.ndim):
        raise TypeError(f"keys must be one key a member, got {keys!r}")
    if not len(keys):
        raise ValueError("keys must be one key a member, got none")
    try:
        return jnp.stack([as_key(each) for each in keys])
    except TypeError as error:
        raise TypeError(f"keys must be one key a member, got {keys!r}: {error}") from error
