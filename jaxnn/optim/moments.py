"""Running moments of gradients, computed so that a decay near 1 keeps its digits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.tree import check_numbers, check_structure

__all__ = [
    "absolute_square",
    "bias_correction",
    "check_updates",
    "moment",
    "real_like",
    "root",
    "second_moment",
    "square_root",
    "towards",
    "zeros_like",
]


def towards(decay: float | jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
    """Average two arrays, $b\\,x + (1-b)\\,y$, in the wider of their dtypes."""
    # 1 - b is computed before the cast: in bfloat16 0.999 is 1, and in float32 1 - 0.999 has
    # lost five of its seven digits unless b is a Python float.
    dtype = jnp.promote_types(jnp.result_type(old), jnp.result_type(new))
    return jnp.asarray(decay, dtype) * old + jnp.asarray(1 - decay, dtype) * new


def moment(decay: float | jax.Array, updates: optax.Updates, moments: Any) -> optax.Updates:
    r"""Update a running mean by one more gradient, $b\,m + (1-b)\,g$."""
    check_updates(updates, moments)
    return jax.tree.map(lambda g, m: towards(decay, m, g), updates, moments)


def second_moment(decay: float | jax.Array, updates: optax.Updates, moments: Any) -> optax.Updates:
    r"""Update a running mean of squares by one more gradient, $b\,v + (1-b)\,|g|^2$."""
    check_updates(updates, moments)
    return jax.tree.map(lambda g, v: towards(decay, v, absolute_square(g)), updates, moments)


def check_updates(updates: optax.Updates, moments: Any) -> None:
    """Refuse updates that hold no numbers, or have another structure than the moments."""
    check_numbers("updates", updates)
    check_structure("updates", updates, moments)


def absolute_square(x: jax.Array) -> jax.Array:
    """Compute $|x|^2$, which is real, also of complex numbers."""
    return jnp.square(jnp.real(x)) + jnp.square(jnp.imag(x)) if jnp.iscomplexobj(x) else x**2


def real_like(x: jax.Array, value: float | jax.Array = 0.0) -> jax.Array:
    """Return an array of the shape of x filled with a real value, also for a complex x."""
    dtype = jnp.real(jnp.empty((0,), jnp.result_type(x))).dtype
    return jnp.full_like(x, jnp.asarray(value, dtype), dtype=dtype)


def zeros_like(tree: optax.Params, dtype: Any = None) -> optax.Params:
    """Return zeros like the parameters, of a dtype of their own if one is given.

    A complex parameter keeps its two parts: in float64 its accumulator is complex128.
    """

    def zeros(p: jax.Array) -> jax.Array:
        if dtype is None or not jnp.iscomplexobj(p):
            return jnp.zeros_like(p, dtype)
        return jnp.zeros_like(p, jnp.promote_types(dtype, jnp.complex64))

    check_numbers("params", tree)
    return jax.tree.map(zeros, tree)


@jax.custom_jvp
def root(x: jax.Array) -> jax.Array:
    r"""Compute $\sqrt x$, whose slope at 0 is taken as 0.

    A moment is 0 where every gradient was 0, as behind a pixel that is always black. The infinite
    slope of the root there would make every derivative of a training run NaN.
    """
    return jnp.sqrt(x)


@root.defjvp
def _root_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y = root(x)
    nothing = y == 0
    return y, jnp.where(nothing, 0, dx / (2 * jnp.where(nothing, 1, y)))


def square_root(square: jax.Array, inside: Any, outside: Any) -> jax.Array:
    r"""Compute $\sqrt{s + \epsilon_\text{in}} + \epsilon_\text{out}$ as a divisor.

    Where it is 0 the divisor is infinite instead, so that the quotient is 0: without any ε a
    parameter that never had a gradient does not move.
    """
    total = square + jnp.asarray(inside, square.dtype)
    outside = jnp.asarray(outside, square.dtype)
    nothing = (total == 0) & (outside == 0)
    return root(jnp.where(nothing, jnp.inf, total)) + outside


def bias_correction(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    r"""Compute $1 - b^t$ without cancellation.

    A moment that started at 0 is too small by this factor after t updates.
    """
    less_1 = jnp.asarray(-(1 - decay), float)
    # At b = 0 the logarithm and its slope are infinite, while the slope of 1 - b^t is -1 or 0.
    none = less_1 == -1
    short = -jnp.expm1(count * jnp.log1p(jnp.where(none, -0.5, less_1)))
    return jnp.where(none, 1 - jnp.where(count == 1, 1 + less_1, 0), short)
