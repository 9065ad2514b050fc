"""Bounds on gradients, updates and weights: clipping and max-norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.norms import scaled_norm, unit_norms
from jaxnn.optim.knobs import (
    Knob,
    check_scheduled,
    next_count,
    transformation,
    value_at,
)
from jaxnn.tree import Mask, check_held, check_numbers, mask_tree, refuse_complex

__all__ = ["BoundState", "clip", "clip_by_global_norm", "clip_by_norm", "max_norm"]


class BoundState(NamedTuple):
    """State of the transformations of this module."""

    count: jax.Array  # () int32: updates so far


def _wide(params: optax.Params) -> optax.Params:
    """Return arrays of the dtypes in which the norms of parameters are computed."""
    check_numbers("params", params)
    return jax.tree.map(
        lambda p: jnp.zeros((), jnp.promote_types(jnp.result_type(p), jnp.float32)), params
    )


def _bounded(
    name: str, bound: Knob, apply: Any, check: Callable[[Any], Any] = _wide
) -> optax.GradientTransformationExtraArgs:
    """Build a transformation from `apply(updates, params, bound)` and a bound above 0.

    `check` refuses parameters, and returns the tree in whose dtypes the bound is used.
    """
    check_scheduled(name, bound, 0, low_open=True)

    def init(params: optax.Params) -> BoundState:
        check_held(name, bound, check(params))
        return BoundState(count=jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: BoundState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, BoundState]:
        del extra_args
        check_numbers("updates", updates)
        updates = apply(updates, params, value_at(bound, state.count))
        return updates, BoundState(count=next_count(state.count))

    return transformation(init, update)


def clip(max_delta: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Clip every entry of the updates to $[-d, d]$.

    Args:
      max_delta: d, above 0; a float, a traced scalar or a schedule.

    Returns:
      A transformation, which stands first in a chain.

    Raises:
      ValueError: a concrete `max_delta` is not above 0, or vanishes or overflows in the dtype of
        a parameter.
      TypeError: at `init`, a parameter is complex.

    >>> tx = clip(1.0)
    >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0]
    Array([ 1. , -0.5], dtype=float32)
    """

    def apply(updates: optax.Updates, params: Any, d: Any) -> optax.Updates:
        del params

        def clipped(u: jax.Array) -> jax.Array:
            dtype = jnp.result_type(u)
            return jnp.clip(u, jnp.asarray(-d, dtype), jnp.asarray(d, dtype))

        return jax.tree.map(clipped, updates)

    def real(params: optax.Params) -> optax.Params:
        refuse_complex("clip", params)
        return params

    return _bounded("max_delta", max_delta, apply, real)


def _shrunk(tree: optax.Updates, bound: Any) -> optax.Updates:
    """Scale updates whose norm exceeds the bound down to it."""
    scale, norm = scaled_norm(tree)
    # Factors of exactly 1 for short updates, so that they keep their bits. There are two, since
    # their product may be below the smallest number.
    long = scale * norm > bound
    # A norm of 0 stays out of the division, whose slope there would spoil every gradient.
    first = jnp.where(long, 1 / scale, 1)
    second = jnp.where(long, bound / jnp.where(long, norm, 1), 1)
    return jax.tree.map(lambda u: (u * first * second).astype(jnp.result_type(u)), tree)


def clip_by_norm(max_norm: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Clip the norm of each leaf, $g \leftarrow g \min(1, c/\lVert g\rVert_2)$.

    Args:
      max_norm: c, above 0; a float, a traced scalar or a schedule.

    Returns:
      A transformation, which stands first in a chain.

    Raises:
      ValueError: a concrete `max_norm` is not above 0, or vanishes or overflows in the dtype of
        the norm, which is float32 or wider.

    >>> tx = clip_by_norm(1.0)
    >>> tx.update([jnp.array([3.0, 4.0]), jnp.array([0.5])], tx.init(None))[0]
    [Array([0.6, 0.8], dtype=float32), Array([0.5], dtype=float32)]
    """

    def apply(updates: optax.Updates, params: Any, c: Any) -> optax.Updates:
        del params
        return jax.tree.map(lambda u: _shrunk(u, c), updates)

    return _bounded("max_norm", max_norm, apply)


def clip_by_global_norm(max_norm: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Clip the norm of all leaves together, $g \leftarrow g \min(1, c/\lVert g\rVert_2)$.

    The norm is that of all leaves as one vector, so their common direction stays the same.

    Args:
      max_norm: c, above 0; a float, a traced scalar or a schedule.

    Returns:
      A transformation, which stands first in a chain.

    Raises:
      ValueError: a concrete `max_norm` is not above 0, or vanishes or overflows in the dtype of
        the norm, which is float32 or wider.

    >>> tx = clip_by_global_norm(1.0)
    >>> tx.update([jnp.array([3.0]), jnp.array([4.0])], tx.init(None))[0]
    [Array([0.6], dtype=float32), Array([0.8], dtype=float32)]

    Source: Pascanu et al. 2013.
    """

    def apply(updates: optax.Updates, params: Any, c: Any) -> optax.Updates:
        del params
        return _shrunk(updates, c)

    return _bounded("max_norm", max_norm, apply)


def max_norm(
    c: Knob, *, mask: Mask | None = "weights_only"
) -> optax.GradientTransformationExtraArgs:
    r"""Bound the norm of each unit's incoming weights, $\lVert w \rVert_2 \le c$.

    $$w \leftarrow (w + u) \min\Big(1, \frac{c}{\lVert w + u \rVert_2}\Big)$$

    It stands last in a chain, since it bounds the parameters after the update. The incoming
    weights of a unit are the entries along all axes of the kernel but the last, for dense layers
    and convolutions alike. No unit exceeds c, not even by rounding.

    Args:
      c: above 0, typically 3 or 4; a float, a traced scalar or a schedule.
      mask: which parameters are bounded, see `jaxnn.tree.mask_tree`.

    Returns:
      A transformation.

    Raises:
      ValueError: a concrete `c` is not above 0, or vanishes or overflows in the dtype of the
        norm; an update is not given the parameters.

    >>> tx = max_norm(1.0)
    >>> params = {"kernel": jnp.array([[3.0, 0.1], [4.0, 0.1]])}
    >>> updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    >>> optax.apply_updates(params, updates)["kernel"].round(5)
    Array([[0.6, 0.1],
           [0.8, 0.1]], dtype=float32)

    Source: Srivastava et al. 2014; lecture N.
    """

    def bound(u: Any, p: Any, radius: Any) -> jax.Array:
        u, p = jnp.asarray(u), jnp.asarray(p)
        wide = jnp.promote_types(p.dtype, jnp.float32)
        old, new = p.astype(wide), p.astype(wide) + u.astype(wide)
        (old_scale, old_norm), (scale, norm) = unit_norms(old), unit_norms(new)
        length = scale * norm
        # The caller computes p + (target - p), which rounds: aim below c by that much.
        size = jnp.maximum(old_scale * old_norm, jnp.minimum(length, 4 * radius))
        # A bfloat16 unit over 30 times too long cannot reach c in one update: aim at c / 2.
        inside = jnp.maximum(radius - 2 * float(jnp.finfo(p.dtype).eps) * size, radius / 2)
        projected = new * (1 / scale) * (inside / jnp.where(norm > 0, norm, 1)) - old
        return jnp.where(length > inside, projected.astype(u.dtype), u)

    def apply(updates: optax.Updates, params: Any, radius: Any) -> optax.Updates:
        if params is None:
            raise ValueError("max_norm needs the parameters: update(updates, state, params)")
        return jax.tree.map(
            lambda u, p, included: bound(u, p, radius) if included else u,
            updates,
            params,
            mask_tree(mask, params),
        )

    return _bounded("c", c, apply)
