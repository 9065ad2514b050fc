"""Initializers of a given size.

Initializers whose size follows from the kernel's shape are defined in
`jaxnn.nn.initializers.variance` and exported here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.keys import as_key
from jaxnn.nn.checks import check_dtype, check_held_knob
from jaxnn.nn.initializers.fans import Initializer, Number, draw, fans, normal_kind
from jaxnn.nn.initializers.variance import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "positive_mean",
    "uniform",
    "variance_scaling",
    "zeros",
]


def constant(value: Number) -> Initializer:
    """Initialize every entry to the same value.

    This suits biases: 0, or 0.01 in front of ReLU, so that fewer units start with gradient 0. It
    does not suit weights: equal weights of a layer get equal gradients and stay equal, so the
    layer learns one feature only.

    Args:
      value: any finite number; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`; it does not use the key.

    Raises:
      ValueError: if a concrete `value` is not finite.

    >>> constant(0.01)(jax.random.key(0), (3,), float)
    Array([0.01, 0.01, 0.01], dtype=float32)

    Source: lectures C, L and S.
    """
    check_held_knob("value", value)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        del key
        return jnp.full(shape, value, dtype)

    return init


def zeros() -> Initializer:
    """Initialize every entry to 0.

    This suits biases. For weights it is the lectures' example of a bad choice. If the activation
    is 0 at 0, as tanh and ReLU are, all hidden units are 0, and all gradients are 0 except that
    of the last bias: training stays at this saddle point. Lecture L says so of tanh. With
    sigmoid, hidden units are ½, so the last kernel has gradients from the first step and the
    layers before it from the next ones; yet the units of a layer stay equal to each other.

    Returns:
      An initializer `(key, shape, dtype) -> array`; it does not use the key.

    >>> zeros()(jax.random.key(0), (3,), float)
    Array([0., 0., 0.], dtype=float32)

    Source: lectures C, L and S.
    """
    return constant(0.0)


def normal(stddev: Number = 0.01, *, truncated: bool = False) -> Initializer:
    r"""Initialize with small random numbers, $W \sim \mathcal N(0, s^2)$, whatever the shape.

    This is the first idea in lecture S. It works for small networks; in deep networks the
    activations shrink towards 0 from layer to layer.

    Args:
      stddev: s, at least 0; a float or a traced scalar.
      truncated: whether to truncate at two standard deviations. The standard deviation stays s.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `stddev` is below 0.

    >>> round(float(normal()(jax.random.key(0), (600, 400), float).std()), 4)
    0.01

    Source: lecture S.
    """
    check_held_knob("stddev", stddev, 0)
    check_flag("truncated", truncated)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw(normal_kind(truncated), stddev, key, shape, dtype)

    return init


def uniform(limit: Number = 0.05) -> Initializer:
    r"""Initialize with uniform random numbers, $W \sim U[-a, a]$, whatever the shape.

    This is Keras' "uniform" of lecture L's program, with a = 0.05. Where a should follow from the
    shape, use `glorot_uniform`, `he_uniform` or `lecun_uniform`.

    Args:
      limit: a, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `limit` is below 0.

    >>> weights = uniform(0.05)(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.min()), 3), round(float(weights.max()), 3)
    (-0.05, 0.05)

    Source: lecture L.
    """
    check_held_knob("limit", limit, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        return draw("uniform", limit / math.sqrt(3), key, shape, dtype)

    return init


def positive_mean(mean: Number = 0.1, scale: Number = 1.0) -> Initializer:
    r"""Initialize as He does, around a small positive mean, so that fewer ReLUs start inactive.

    $$W \sim \mathcal N\Bigl(\frac{m}{\text{fan-in}}, \frac{2 s^2}{\text{fan-in}}\Bigr)$$

    Lecture L advises a positive mean and gives no number. The mean is divided by fan-in, since a
    unit sums over that many inputs. So its effect does not depend on the width of the layer.

    Args:
      mean: m, which the mean adds to a unit whose inputs average 1; at least 0; a float or a
        traced scalar.
      scale: s, factor of the random part, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`. It raises a ValueError for a shape without a
      fan-in.

    Raises:
      ValueError: if a concrete argument is below 0.

    >>> weights = positive_mean(60.0)(jax.random.key(0), (600, 400), float)
    >>> round(float(weights.mean()), 3)
    0.1

    Source: lecture L.
    """
    check_held_knob("mean", mean, 0)
    around_zero = he_normal(scale)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        weights = around_zero(key, shape, dtype)
        return weights + jnp.asarray(mean / fans(shape)[0], weights.dtype)

    return init


def orthogonal(scale: Number = 1.0) -> Initializer:
    r"""Initialize with a uniformly random orthogonal matrix, $W^\top W = s^2 I$.

    The kernel is reshaped to a matrix whose columns are its last axis, so the filters of a
    convolution are orthogonal to each other. If it has more columns than rows, its rows are
    orthogonal instead: $W W^\top = s^2 I$.

    Args:
      scale: s, at least 0; a float or a traced scalar. √2 suits ReLU.

    Returns:
      An initializer `(key, shape, dtype) -> array` that computes in float32 or wider. It raises
      a ValueError for a shape of fewer than two axes.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> w = orthogonal()(jax.random.key(0), (3, 3, 2), float).reshape(9, 2)
    >>> abs(w.T @ w).round(3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)

    Source: Saxe et al. 2013, in lecture S's reading list.
    """
    check_held_knob("scale", scale, 0)

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = float) -> jax.Array:
        fans(shape)  # refuses fewer than two axes
        check_dtype("dtype", dtype)
        key = as_key(key)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        dtype = jnp.zeros((), dtype).dtype
        tall = (max(rows, columns), min(rows, columns))
        z = jax.random.normal(key, tall, jnp.promote_types(dtype, jnp.float32))
        q, r = jnp.linalg.qr(z)
        # Householder reflections fix the signs; with the signs of R, Q is uniformly distributed.
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(q.dtype)[None, :]
        q = q.T if rows < columns else q
        return (q * jnp.asarray(scale, q.dtype)).reshape(shape).astype(dtype)

    return init
