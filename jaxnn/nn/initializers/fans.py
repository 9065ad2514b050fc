"""Parts of the random initializers: fan-in and fan-out, and draws of a given deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.keys import as_key
from jaxnn.nn.checks import check_dtype

__all__ = ["Initializer", "Number", "draw", "fans", "normal_kind"]

Initializer = Callable[[jax.Array, Sequence[int], Any], jax.Array]
"""`(key, shape, dtype) -> array`, as in Flax and JAX."""

Number = float | jax.Array

# The standard deviation of a standard normal truncated at −2 and 2.
_TRUNCATED_DEVIATION = 0.87962566103423978


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Compute fan-in and fan-out of a kernel (…, inputs, outputs).

    Raises:
      ValueError: if the shape has fewer than two axes.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    sizes = isinstance(shape, Sequence) and all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 1
        for size in shape
    )
    if not sizes or isinstance(shape, (str, bytes)):
        raise ValueError(f"shape must be a tuple of positive integers, got {shape!r}")
    if len(shape) < 2:
        raise ValueError(f"shape must have two axes or more to have a fan-in, got {tuple(shape)}")
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


def draw(
    distribution: str, deviation: Number, key: jax.Array, shape: Sequence[int], dtype: Any
) -> jax.Array:
    """Draw numbers of mean 0 and a given standard deviation.

    Args:
      distribution: "normal", "truncated_normal" (at two deviations) or "uniform".
      deviation: the standard deviation, a float or a traced scalar.
      key: scalar typed key.
      shape: shape of the result.
      dtype: dtype of the result; `float` means float32, or float64 where x64 is on.

    >>> bool(abs(draw("uniform", 1.0, jax.random.key(0), (9,), float)).max() <= math.sqrt(3))
    True
    """
    check_dtype("dtype", dtype)
    key = as_key(key)
    if distribution == "uniform":
        limit = jnp.asarray(math.sqrt(3) * deviation, dtype)
        return jax.random.uniform(key, shape, dtype, -limit, limit)
    if distribution == "truncated_normal":
        z = jax.random.truncated_normal(key, -2, 2, shape, dtype)
        return z * jnp.asarray(deviation / _TRUNCATED_DEVIATION, z.dtype)
    z = jax.random.normal(key, shape, dtype)
    return z * jnp.asarray(deviation, z.dtype)


def normal_kind(truncated: bool) -> str:
    """Return the name under which `draw` knows the normal distribution, truncated or not.

    >>> normal_kind(truncated=False)
    'normal'
    """
    return "truncated_normal" if truncated else "normal"
