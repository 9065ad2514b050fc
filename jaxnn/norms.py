"""Norms of trees of arrays, which neither overflow nor vanish where a square would."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = [
    "global_norm",
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
    where s · norm is above the largest number, for every c above 1e-23.

    >>> scaled_norm(jnp.array([3.0, 4.0]))
    (Array(1., dtype=float32), Array(5., dtype=float32))
    """
    leaves = _wide(tree)
    # One precision for all, so that one scale suits every leaf.
    widest = jnp.result_type(jnp.float32, *(jnp.finfo(leaf.dtype).dtype for leaf in leaves))
    leaves = [leaf.astype(jnp.promote_types(leaf.dtype, widest)) for leaf in leaves]
    total = sum_of_squares(leaves)
    scale = _scale_for(total)
    return _root(total, sum_of_squares([leaf * (1 / scale) for leaf in leaves]), scale)


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
    scale = _scale_for(total)
    return _root(total, squares(x * (1 / scale)), scale)


def _scale_for(total: jax.Array) -> jax.Array:
    """Choose a scale from a sum of squares: 1, or one that brings the squares back into range.

    A second sum costs less than a search for the largest entry, and less than a branch, which
    `vmap` would take both ways.
    """
    spare, lift = _exponents(total.dtype)
    total = jax.lax.stop_gradient(total)
    # Below this sum, squares that vanished would make a difference.
    small, large = total < 2.0 ** (-2 * spare), total == jnp.inf
    scale = jnp.where(small, 2.0**-lift, jnp.where(large, 2.0**lift, 1.0))
    return scale.astype(total.dtype)


def _root(total: jax.Array, again: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return scale and norm from the sum of squares, and from that of the scaled entries."""
    squares = jnp.where(scale == 1, total, again)
    positive = squares > 0
    # The slope of the root is infinite at 0, that of a norm is taken as 0.
    return scale, jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), squares)


def _exponents(dtype: Any) -> tuple[int, int]:
    """Return s and l, powers of 2: the least normal number times 2^l is 2^-s.

    Squares below the least normal number vanish. In a sum of at least 2^-2s those that vanished
    are below half a unit in the last place, squared.
    """
    limits = jnp.finfo(dtype)
    spare = -(limits.minexp + 2 * limits.nmant) // 2
    return spare, -limits.minexp - spare
