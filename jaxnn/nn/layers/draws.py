r"""Random bits at little cost: what dropout and its relatives draw from.

`jax.random.uniform` runs threefry once for each entry, and half of a small training step on
a CPU goes there. Here a run of threefry serves two entries, in a form that XLA compiles to one
pass over memory. What an entry gets depends on the key and the entry's position only, so that
a batch over several devices, and a batch with padding behind it, draw what the plain one draws.
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
    """The block cipher behind JAX's default keys: threefry 2x32 with 20 rounds.

    On CPUs `jax.random` compiles its own to a loop of five turns, each of which passes over
    memory several times. Written out, as here, it is a single pass.

    Args:
      key: the two words of a key, of shape (2,), uint32.
      high: first word of the counter, uint32.
      low: second word of the counter, uint32, of a shape that broadcasts against `high`'s.

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
    r"""A number for each entry, uniform on the integers from 0 to $2^{32} - 1$.

    Two entries share a word $w = (h, l)$ of 16-bit halves: one gets $(h, l)$, the other
    $(l, h)$. Compared with a threshold they are independent, unless the upper half of one ties
    with that of the threshold, which happens once in 65,536 times. All else is independent.

    The first axis is the batch: further rows change no earlier row's numbers, and it can
    be spread over devices without communication.

    Args:
      key: scalar typed key. Of an implementation other than threefry a key of threefry's is
        drawn first.
      shape: of the result.

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
    # A loop is the one thing that XLA's CPU compiler does not merge into what reads its result,
    # and so run again for each reader and, under vmap over rates, for each rate.
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
    """The words of `rows` rows from column `part * width` on, of shape (rows, width)."""
    row = lax.broadcasted_iota(jnp.uint32, (rows, width), 0)
    column = lax.broadcasted_iota(jnp.uint32, (rows, width), 1)
    first = jnp.asarray(part, jnp.uint32) * np.uint32(width)
    a, b = threefry(key, row, column + first)
    return a ^ b
