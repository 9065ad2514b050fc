"""Sparsemax: probabilities from scores, some of them exactly 0."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.nn.checks import check_axes, numbers

__all__ = ["sparsemax"]


def sparsemax(x: jax.Array, axis: int = -1) -> jax.Array:
    r"""Project scores onto the probability simplex: find its nearest point.

    $$p_i = \max(0, x_i - \tau), \qquad \tau = \frac{\sum_{j \le k} x_{(j)} - 1}{k}, \qquad
    k = \max\Bigl\{ j : 1 + j\,x_{(j)} > \sum_{l \le j} x_{(l)} \Bigr\}$$

    where $x_{(1)} \ge x_{(2)} \ge \dots$ are the sorted scores. The derivative along $v$ is
    $v_i - \bar v$ on the support ($p_i > 0$), where $\bar v$ is the mean of $v$ over the support.
    Outside the support it is 0.

    Args:
      x: array of finite scores. They are summed in float32 or wider.
      axis: the axis along which the outputs sum to 1.

    Returns:
      Array of the same shape and dtype.

    >>> sparsemax(jnp.array([0.5, 1.0, -1.0]))
    Array([0.25, 0.75, 0.  ], dtype=float32)
    >>> jax.grad(lambda x: sparsemax(x)[0])(jnp.array([0.5, 1.0, -1.0]))
    Array([ 0.5, -0.5,  0. ], dtype=float32)

    Source: Martins and Astudillo 2016; lecture L.
    """
    x = numbers("x", x)
    check_axes("axis", axis, x)
    if not x.shape[axis]:
        raise ValueError(f"x must have entries along the axis {axis}, got the shape {x.shape}")
    dtype = jnp.result_type(x, 1.0)
    wide = jnp.moveaxis(x, axis, -1).astype(jnp.promote_types(dtype, jnp.float32))
    return jnp.moveaxis(_sparsemax(wide), -1, axis).astype(dtype)


@jax.custom_jvp
def _sparsemax(x: jax.Array) -> jax.Array:
    # A score more than 1 below the largest is never in the support: clipping keeps the sums small.
    z = jnp.maximum(x - x.max(axis=-1, keepdims=True), -1)
    descending = -jnp.sort(-z, axis=-1)
    sums = jnp.cumsum(descending, axis=-1)
    places = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    inside = 1 + places * descending > sums
    k = inside.sum(axis=-1, keepdims=True)
    tau = (jnp.take_along_axis(sums, k - 1, axis=-1) - 1) / k.astype(x.dtype)
    return jnp.maximum(z - tau, 0)


@_sparsemax.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    p, v = _sparsemax(*primals), tangents[0]
    support = (p > 0).astype(p.dtype)
    size = support.sum(axis=-1, keepdims=True)
    mean = (v * support).sum(axis=-1, keepdims=True) / size
    return p, support * (v - mean)
