"""From the device to the host, and out of the way of donation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["copy", "fetch"]


def fetch(tree: Any) -> Any:
    """Device arrays as NumPy arrays: the one way from the device to the host.

    Where several processes have a part of an array each, all of them must call this.
    """
    return jax.device_get(jax.tree.map(_whole, tree))


def _whole(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return leaf
    assert isinstance(leaf.sharding, NamedSharding)  # as `Placement` has put it
    everywhere = NamedSharding(leaf.sharding.mesh, PartitionSpec())
    return jax.jit(lambda leaf: leaf, out_shardings=everywhere)(leaf)


@jax.jit
def copy(tree: Any) -> Any:
    """A copy on the device, which stays valid when the original is donated."""
    return jax.tree.map(jnp.copy, tree)
