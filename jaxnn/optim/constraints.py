"""Bounds on gradients, updates and weights: clipping and max-norm."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim.rate import Knob, check_scheduled, next_count, transformation, value_at
from jaxnn.tree import Mask, global_norm, mask_tree

__all__ = ["BoundState", "clip", "clip_by_global_norm", "clip_by_norm", "max_norm"]


class BoundState(NamedTuple):
    """State of the transformations of this module."""

    count: jax.Array  # () int32: updates so far


def _bounded(name: str, bound: Knob, apply: Any) -> optax.GradientTransformationExtraArgs:
    """Build a transformation from `apply(updates, params, bound)` and a bound above 0."""
    check_scheduled(name, bound, 0, low_open=True)

    def init(params: optax.Params) -> BoundState:
        del params
        return BoundState(count=jnp.zeros((), jnp.int32))

    def update(
        updates: optax.Updates,
        state: BoundState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, BoundState]:
        del extra_args
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
      ValueError: a concrete `max_delta` is not above 0.

    >>> tx = clip(1.0)
    >>> tx.update(jnp.array([3.0, -0.5]), tx.init(jnp.zeros(2)))[0]
    Array([ 1. , -0.5], dtype=float32)
    """

    def apply(updates: optax.Updates, params: Any, d: Any) -> optax.Updates:
        del params
        return jax.tree.map(
            lambda u: jnp.clip(u, jnp.asarray(-d, u.dtype), jnp.asarray(d, u.dtype)), updates
        )

    return _bounded("max_delta", max_delta, apply)


def _shrunk(u: jax.Array, norm: jax.Array, bound: Any) -> jax.Array:
    """Scale an update whose norm exceeds the bound down to it."""
    # A factor of exactly 1 for short updates, so that they keep their bits.
    scale = jnp.where(norm > bound, bound / norm, 1)
    return u * scale.astype(u.dtype)


def clip_by_norm(max_norm: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Clip the norm of each leaf, $g \leftarrow g \min(1, c/\lVert g\rVert_2)$.

    Args:
      max_norm: c, above 0; a float, a traced scalar or a schedule.

    Returns:
      A transformation, which stands first in a chain.

    Raises:
      ValueError: a concrete `max_norm` is not above 0.

    >>> tx = clip_by_norm(1.0)
    >>> tx.update([jnp.array([3.0, 4.0]), jnp.array([0.5])], tx.init(None))[0]
    [Array([0.6, 0.8], dtype=float32), Array([0.5], dtype=float32)]
    """

    def apply(updates: optax.Updates, params: Any, c: Any) -> optax.Updates:
        del params
        return jax.tree.map(lambda u: _shrunk(u, global_norm(u), c), updates)

    return _bounded("max_norm", max_norm, apply)


def clip_by_global_norm(max_norm: Knob) -> optax.GradientTransformationExtraArgs:
    r"""Clip the norm of all leaves together, $g \leftarrow g \min(1, c/\lVert g\rVert_2)$.

    The norm is that of all leaves as one vector, so their common direction stays the same.

    Args:
      max_norm: c, above 0; a float, a traced scalar or a schedule.

    Returns:
      A transformation, which stands first in a chain.

    Raises:
      ValueError: a concrete `max_norm` is not above 0.

    >>> tx = clip_by_global_norm(1.0)
    >>> tx.update([jnp.array([3.0]), jnp.array([4.0])], tx.init(None))[0]
    [Array([0.6], dtype=float32), Array([0.8], dtype=float32)]

    Source: Pascanu et al. 2013.
    """

    def apply(updates: optax.Updates, params: Any, c: Any) -> optax.Updates:
        del params
        norm = global_norm(updates)
        return jax.tree.map(lambda u: _shrunk(u, norm, c), updates)

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
      ValueError: a concrete `c` is not above 0, or an update is not given the parameters.

    >>> tx = max_norm(1.0)
    >>> params = {"kernel": jnp.array([[3.0, 0.1], [4.0, 0.1]])}
    >>> updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    >>> optax.apply_updates(params, updates)["kernel"].round(5)
    Array([[0.6, 0.1],
           [0.8, 0.1]], dtype=float32)

    Source: Srivastava et al. 2014; lecture N.
    """

    def bound(u: jax.Array, p: jax.Array, radius: Any) -> jax.Array:
        wide = jnp.promote_types(p.dtype, jnp.float32)
        old, new = p.astype(wide), p.astype(wide) + u.astype(wide)
        axes = tuple(range(p.ndim - 1))
        norm = jnp.sqrt(jnp.sum(new**2, axes, keepdims=True))
        # The caller computes p + (target - p), which rounds: aim below c by that much.
        size = jnp.maximum(jnp.sqrt(jnp.sum(old**2, axes, keepdims=True)), norm)
        # A bfloat16 unit over 30 times too long cannot reach c in one update: aim at c / 2.
        inside = jnp.maximum(radius - 2 * float(jnp.finfo(p.dtype).eps) * size, radius / 2)
        projected = new * (inside / jnp.where(norm > 0, norm, 1)) - old
        return jnp.where(norm > inside, projected.astype(u.dtype), u)

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
