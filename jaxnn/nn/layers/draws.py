r"""Cheap random bits, for dropout and its relatives.

`jax.random.uniform` runs threefry once for each entry, which takes half the time of a small
training step on a CPU. Here one run of threefry serves two entries, in a form that XLA compiles
to one pass over memory. The bits of an entry depend only on the key and the entry's position. So
a batch over several devices, and a batch with padding at its end, draw the same bits as the plain
batch.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["threefry", "uniform_bits"]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Run the block cipher behind JAX's default keys: threefry 2x32 with 20 rounds.

    On CPUs `jax.random` compiles its own threefry to a loop of five iterations, each of which
    passes over memory several times. Unrolled, as here, it is a single pass.

    Args:
      key: the two words of a key, of shape (2,), uint32.
      high: first word of the counter, uint32.
      low: second word of the counter, uint32; its shape must broadcast against that of `high`.

    Returns:
      Two arrays of independent uniform words, uint32.

    >>> child = jax.random.fold_in(jax.random.key(7), 5)
    >>> words = threefry(jax.random.key_data(jax.random.key(7)), jnp.uint32(0), jnp.uint32(5))
    >>> bool((jnp.stack(words) == jax.random.key_data(child)).all())
    True

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    schedule = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    a, b = high + schedule[0], low + schedule[1]
    for group in range(1, 6):
        for rotation in _ROTATIONS[(group - 1) % 2]:
            a = a + b
            b = a ^ ((b << rotation) | (b >> (32 - rotation)))
        a = a + schedule[group % 3]
        b = b + schedule[(group + 1) % 3] + np.uint32(group)
    return a, b


@partial(jax.jit, static_argnames="shape")
def uniform_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    r"""Draw for each entry an integer, uniform from 0 to $2^{32} - 1$.

    Two entries share a word $w = (h, l)$ of 16-bit halves: one gets $(h, l)$, the other
    $(l, h)$. Compared with a threshold the two are independent, unless the upper half of one
    equals that of the threshold, which happens once in 65,536 draws. Other entries are
    independent.

    The first axis is the batch. Additional rows do not change the numbers of earlier rows, and
    the batch can be sharded over devices without communication.

    Args:
      key: scalar typed key. From a key of another implementation than threefry, a threefry key
        is drawn first.
      shape: shape of the result.

    Returns:
      Array of that shape, uint32.

    >>> uniform_bits(jax.random.key(0), (2, 3)).shape
    (2, 3)
    >>> longer, shorter = (uniform_bits(jax.random.key(0), (n, 3)) for n in (72, 70))
    >>> bool((longer[:70] == shorter).all())
    True
    """
    rows, columns = shape[0] if shape else 1, math.prod(shape[1:])
    width = -(-columns // 4)
    # XLA's CPU compiler would fuse threefry into every consumer of the bits, and so run it once
    # for each consumer and, under vmap over rates, for each rate. It does not fuse a loop.
    words = lax.platform_dependent(
        _key_words(key),
        cpu=lambda key: lax.map(partial(_words, key, rows, width), jnp.arange(2)),
        default=lambda key: jnp.stack([_words(key, rows, width, part) for part in range(2)]),
    )
    turned = (words << 16) | (words >> 16)
    return jnp.concatenate([*words, *turned], axis=1)[:, :columns].reshape(shape)


def _key_words(key: jax.Array) -> jax.Array:
    if jax.random.key_impl(key) == "threefry2x32":
        return jax.random.key_data(key)
    return jax.random.bits(key, (2,), jnp.uint32)


def _words(key: jax.Array, rows: int, width: int, part: jax.Array | int) -> jax.Array:
    """Compute the words, (rows, width), of the columns from `part * width` on."""
    row = lax.broadcasted_iota(jnp.uint32, (rows, width), 0)
    column = lax.broadcasted_iota(jnp.uint32, (rows, width), 1)
    first = jnp.asarray(part, jnp.uint32) * np.uint32(width)
    a, b = threefry(key, row, column + first)
    return a ^ b
