"""Compute `jax.random.permutation` in NumPy, where compiling it would cost more than running it.

A split of the data is drawn once in a process. Compiling the program that draws it takes 0.3 to
0.5 s on two CPU cores, from the cache of compiled programs still 0.1 s; here the same bits take
a millisecond for 2,000 rows, and 0.1 s for a million.
"""

from __future__ import annotations

import math

import jax
import numpy as np

from jaxnn.keys import name_hash, stream

__all__ = ["random_order"]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def random_order(root: jax.Array, name: str, n: int) -> np.ndarray:
    """Permute 0 … n − 1 by a draw from a stream of the root key.

    Args:
      root: scalar typed key.
      name: of the stream.
      n: number of rows, at least 1.

    Returns:
      int32 array (n,), equal to `jax.random.permutation(stream(root, name), n)`.

    >>> order = random_order(jax.random.key(0), "split", 5)
    >>> order == jax.random.permutation(stream(jax.random.key(0), "split"), 5)
    Array([ True,  True,  True,  True,  True], dtype=bool)

    Source: J. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011, for Threefry;
    `jax.random.permutation` sorts by as many random words as make equal ones improbable.
    """
    if not _is_partitionable_threefry(root):
        return np.asarray(jax.random.permutation(stream(root, name), n))
    key = np.asarray(jax.random.key_data(root))
    key = np.stack(_threefry(key, np.zeros(1, np.uint32), np.array([name_hash(name)], np.uint32)))[
        :, 0
    ]
    order = np.arange(n, dtype=np.int32)
    for _ in range(math.ceil(3 * math.log(max(1, n)) / math.log(2**32 - 1))):
        high, low = _at_positions(key, 2)
        key, subkey = np.array([high[0], low[0]]), np.array([high[1], low[1]])
        high, low = _at_positions(subkey, n)
        order = order[np.argsort(high ^ low, kind="stable")]
    return order


def _is_partitionable_threefry(root: jax.Array) -> bool:
    # The setting is JAX's default; without it JAX numbers the words in another way.
    partitionable = getattr(jax.config, "jax_threefry_partitionable", True)
    return partitionable and str(jax.random.key_impl(root)) == "threefry2x32"


def _at_positions(key: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the positions 0 … n − 1, as numbers of 64 bits, to two words each."""
    return _threefry(key, np.zeros(n, np.uint32), np.arange(n, dtype=np.uint32))


def _threefry(key: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply Threefry-2x32 with 20 rounds to the words x and y, modulo 2^32."""
    words = [key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA)]
    x, y = x + words[0], y + words[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
            y = y ^ x
        x = x + words[(group + 1) % 3]
        y = y + words[(group + 2) % 3] + np.uint32(group + 1)
    return x, y
