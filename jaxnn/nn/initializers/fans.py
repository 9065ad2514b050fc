"""What every random initializer is made of: the fans of a kernel, and a draw of known deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Initializer", "Number", "draw", "fans", "normal_kind"]

Initializer = Callable[[jax.Array, Sequence[int], Any], jax.Array]
"""`(key, shape, dtype) -> array`, as in Flax and JAX."""

Number = float | jax.Array

# The standard deviation of a standard normal that is cut off at −2 and 2.
_CUT_OFF = 0.87962566103423978


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Fan-in and fan-out of a kernel (…, inputs, outputs).

    Raises:
      ValueError: fewer than two axes.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        raise ValueError(f"shape must have two axes or more to have a fan-in, got {tuple(shape)}")
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


def draw(
    distribution: str, deviation: Number, key: jax.Array, shape: Sequence[int], dtype: Any
) -> jax.Array:
    """Numbers of mean 0 and this standard deviation.

    Args:
      distribution: "normal", "truncated_normal" (at two deviations) or "uniform".
      deviation: a float or a traced scalar.
      key: scalar typed key.
      shape: of the result.
      dtype: of the result; `float` is float32, and float64 where x64 is on.

    >>> bool(abs(draw("uniform", 1.0, jax.random.key(0), (9,), float)).max() <= math.sqrt(3))
    True
    """
    if distribution == "uniform":
        limit = jnp.asarray(math.sqrt(3) * deviation, dtype)
        return jax.random.uniform(key, shape, dtype, -limit, limit)
    if distribution == "truncated_normal":
        z = jax.random.truncated_normal(key, -2, 2, shape, dtype)
        return z * jnp.asarray(deviation / _CUT_OFF, z.dtype)
    z = jax.random.normal(key, shape, dtype)
    return z * jnp.asarray(deviation, z.dtype)


def normal_kind(truncated: bool) -> str:
    """The name of the distribution, for `draw`.

    >>> normal_kind(truncated=False)
    'normal'
    """
    return "truncated_normal" if truncated else "normal"
