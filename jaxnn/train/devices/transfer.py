"""Fetch arrays to the host, and copy them on the device before they are donated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

__all__ = ["copy", "fetch"]


def fetch(tree: Any) -> Any:
    """Fetch device arrays as NumPy arrays; the loop has no other way from device to host.

    Where an array is spread over several processes, all of them must call this.
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
    """Copy a tree on the device, so that the copy stays valid when the original is donated."""
    return jax.tree.map(jnp.copy, tree)
