"""Addresses of random draws, from which their keys are computed.

No key is carried along and split. The key of a draw is computed from the root key of the run and
the draw's address, which is the name of a stream followed by integers such as the step or the
epoch. It is a chain of `jax.random.fold_in`:

$$k_0 = \\mathrm{fold}(\\text{root}, h(\\text{name})), \\qquad k_j = \\mathrm{fold}(k_{j-1}, i_j)$$

Here `h` is a fixed 32-bit hash. A draw therefore does not depend on the draws made before it: a
resumed run, one member of a population and a batch spread over eight devices draw the same numbers
as the plain run. Within a Flax module, Flax folds in the layer's path.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import is_concrete

__all__ = ["Keys", "as_key", "stream"]


def as_key(key: Any) -> jax.Array:
    """Convert a typed key, a raw `PRNGKey` or a plain integer to one typed key.

    Args:
      key: a scalar typed key (`jax.random.key(0)`), a raw key (`jax.random.PRNGKey(0)`,
        uint32 of the default implementation), or an integer seed of 32 bits.

    Returns:
      A scalar typed key.

    Raises:
      TypeError: `key` is anything else.

    >>> as_key(7) == jax.random.key(7)
    Array(True, dtype=bool)
    """
    return _typed("key", key)


def _typed(name: str, key: Any) -> jax.Array:
    if isinstance(key, (jax.Array, np.ndarray)) and key.ndim <= 1:
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0:
            return jnp.asarray(key)
        if key.dtype == np.uint32 and key.ndim == 1:
            with contextlib.suppress(TypeError):  # of another length than a key has
                return jax.random.wrap_key_data(jnp.asarray(key))
    if is_concrete(key) and not isinstance(key, (bool, np.bool_)) and hasattr(key, "__index__"):
        with contextlib.suppress(TypeError):  # an array that is not a single integer
            seed = operator.index(key)
            # JAX would silently cut a larger seed down to its last 32 bits.
            if -(2**31) <= seed < 2**32:
                return jax.random.key(seed)
    raise TypeError(
        f"{name} must be one key (jax.random.key(0)), one raw key (jax.random.PRNGKey(0)) "
        f"or an integer seed of 32 bits, got {key!r}"
    )


def stream(root: jax.Array, name: str, *indices: Any) -> jax.Array:
    """Compute the key at the address (`name`, `indices`) below `root`.

    Args:
      root: a key or an integer seed, as `as_key` takes it.
      name: the name of the stream, such as "dropout".
      *indices: integers from 0 to 2^32 − 1, traced or not, such as the step or the epoch.

    Returns:
      Scalar typed key.

    Raises:
      TypeError: `root` is no key, `name` no text, or an index no single integer.
      ValueError: a concrete index is outside its range.

    >>> root = jax.random.key(0)
    >>> stream(root, "dropout", 3) == stream(root, "dropout", 3)
    Array(True, dtype=bool)
    >>> stream(root, "dropout", 3) == stream(root, "shuffle", 3)
    Array(False, dtype=bool)
    """
    key = jax.random.fold_in(_typed("root", root), name_hash(name))
    for index in indices:
        _check_index(index)
        key = jax.random.fold_in(key, index)
    return key


def _check_index(index: Any) -> None:
    is_array = isinstance(index, (np.ndarray, np.generic, jax.Array))
    is_integer = is_array and index.ndim == 0 and jnp.issubdtype(index.dtype, jnp.integer)
    if not is_integer and (isinstance(index, bool) or not isinstance(index, int)):
        raise TypeError(f"index must be one integer from 0 to 2^32 - 1, got {index!r}")
    if is_concrete(index) and not 0 <= int(index) < 2**32:
        raise ValueError(f"index must be one integer from 0 to 2^32 - 1, got {index!r}")


def name_hash(name: str) -> int:
    """Hash a stream's name to 32 bits; unlike Python's `hash`, alike in every process.

    Raises:
      TypeError: `name` is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be the name of a stream, such as 'dropout', got {name!r}")
    return int.from_bytes(hashlib.blake2s(name.encode(), digest_size=4).digest(), "little")


class Keys(NamedTuple):
    """The streams of one step: `keys("dropout")` is `stream(root, "dropout", index)`.

    >>> keys = Keys(jax.random.key(0), jnp.int32(3))
    >>> keys("dropout") == stream(jax.random.key(0), "dropout", 3)
    Array(True, dtype=bool)
    """

    root: jax.Array  # scalar typed key
    index: jax.Array  # scalar int32: the step in training, the batch in evaluation
    micro_batch: jax.Array | None = None  # its number, where a batch is accumulated from several
    device: jax.Array | None = None  # its index, in a program that runs once per device

    def __call__(self, name: str) -> jax.Array:
        below = (index for index in (self.micro_batch, self.device) if index is not None)
        return stream(self.root, name, self.index, *below)
