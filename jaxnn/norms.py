"""Norms of trees of arrays, which neither overflow nor vanish where a square would."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = [
    "global_norm",
    "power_of_2",
    "scaled_norm",
    "sum_of_absolutes",
    "sum_of_squares",
    "unit_norms",
]


def _wide(tree: Any) -> list[jax.Array]:
    # In half precision a sum over the leaves could overflow.
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in leaves]


def sum_of_squares(tree: Any) -> jax.Array:
    r"""Compute $\sum_i \lVert x_i \rVert_2^2$ over all leaves, in float32 or wider.

    >>> sum_of_squares({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(25., dtype=float32)
    """
    return sum((jnp.vdot(x, x).real for x in _wide(tree)), start=jnp.zeros((), jnp.float32))


def sum_of_absolutes(tree: Any) -> jax.Array:
    r"""Compute $\sum_i \lVert x_i \rVert_1$ over all leaves, in float32 or wider.

    >>> sum_of_absolutes({"a": jnp.array([3.0]), "b": jnp.array([[-4.0]])})
    Array(7., dtype=float32)
    """
    # |x| is computed as x·sign(x), whose derivative at 0 is 0. That of jnp.abs is 1 there, and
    # would move a weight that is exactly 0. The sign of a complex number is x / |x|.
    absolutes = (jnp.real(x * jax.lax.stop_gradient(jnp.sign(x)).conj()).sum() for x in _wide(tree))
    return sum(absolutes, start=jnp.zeros((), jnp.float32))


def global_norm(tree: Any) -> jax.Array:
    r"""Compute the norm of all leaves together, $\sqrt{\sum_i \lVert x_i \rVert_2^2}$.

    It is computed in float32 or wider, and neither overflows nor vanishes where squares would.

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(5., dtype=float32)
    >>> global_norm([jnp.array([3e30]), jnp.array([4e30])])
    Array(5.e+30, dtype=float32)
    """
    scale, norm = scaled_norm(tree)
    return scale * norm


def scaled_norm(tree: Any) -> tuple[jax.Array, jax.Array]:
    r"""Compute a scale s and $\lVert x / s \rVert_2$ of all leaves together.

    The scale is a power of 2, so that a division by it is exact. It is 1, unless a sum of squares
    would overflow or lose digits to underflow. (x / s) · (c / norm) therefore has length c even
    where s · norm is above the largest number.

    >>> scaled_norm(jnp.array([3.0, 4.0]))
    (Array(1., dtype=float32), Array(5., dtype=float32))
    """
    leaves = _wide(tree)
    total = sum_of_squares(leaves)
    one = jnp.ones((), total.dtype)
    if not leaves:
        return one, total
    least = max(_least_sum(leaf.dtype) for leaf in leaves)

    def rescaled() -> tuple[jax.Array, jax.Array]:
        sizes = [jnp.max(jnp.abs(leaf), initial=0).astype(total.dtype) for leaf in leaves]
        scale = power_of_2(jnp.stack(sizes).max())
        return scale, jnp.sqrt(sum_of_squares([leaf * (1 / scale) for leaf in leaves]))

    ordinary = (total >= least) & (total < jnp.inf)
    return jax.lax.cond(ordinary, lambda: (one, jnp.sqrt(total)), rescaled)


def unit_norms(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute `scaled_norm` of each unit, over all axes of an array but the last, which stay.

    >>> unit_norms(jnp.array([[3.0, 1e30], [4.0, 0.0]]))[1].shape
    (1, 2)
    """
    axes = tuple(range(x.ndim - 1))

    def squares(x: jax.Array) -> jax.Array:
        return jnp.sum(
            jnp.square(x) if jnp.isrealobj(x) else jnp.square(jnp.abs(x)), axes, keepdims=True
        )

    total = squares(x)
    ordinary = (total >= _least_sum(x.dtype)) & (total < jnp.inf)

    def rescaled() -> tuple[jax.Array, jax.Array]:
        size = jnp.max(jnp.abs(x), axes, keepdims=True, initial=0)
        scale = jnp.where(ordinary, 1, power_of_2(size))
        return scale, jnp.sqrt(squares(x * (1 / scale)))

    return jax.lax.cond(
        jnp.all(ordinary), lambda: (jnp.ones_like(total), jnp.sqrt(total)), rescaled
    )


def power_of_2(size: jax.Array) -> jax.Array:
    """Return a power of 2 near a size, whose inverse is a number too; 1 for 0, inf and NaN.

    >>> power_of_2(jnp.array([3e30, 0.0, jnp.inf]))[1:]
    Array([1., 1.], dtype=float32)
    """
    size = jax.lax.stop_gradient(size)
    known = (size > 0) & (size < jnp.inf)
    _, exponent = jnp.frexp(jnp.where(known, size, 1))
    lowest = jnp.finfo(size.dtype).minexp
    power = jnp.ldexp(jnp.ones_like(size), jnp.clip(exponent, lowest, -lowest))
    return jnp.where(known, power, 1)


def _least_sum(dtype: Any) -> float:
    """Return the sum of squares above which squares that vanished make no difference."""
    limits = jnp.finfo(dtype)
    return float(limits.tiny) / float(limits.eps) ** 2
