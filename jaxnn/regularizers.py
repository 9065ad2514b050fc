"""Penalties on the parameters, added to the loss by the training step.

A regularizer is a pure function `params -> scalar`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob
from jaxnn.tree import Mask, mask_tree, sum_of_squares, weights_only

__all__ = ["Regularizer", "l2"]

Regularizer = Callable[[Any], jax.Array]


def l2(strength: float | jax.Array, *, mask: Mask = weights_only) -> Regularizer:
    r"""L2 regularization, $\tfrac12 \lambda \lVert W \rVert_2^2$, whose gradient is $\lambda W$.

    Biases and the scales of normalization layers are left out unless `mask` says otherwise.

    Args:
      strength: λ, at least 0; a float or a traced scalar.
      mask: which parameters count, see `jaxnn.tree.mask_tree`.

    Returns:
      A function of a parameter tree that returns the scalar penalty.

    Raises:
      ValueError: a concrete `strength` below 0.

    >>> params = {"kernel": jnp.array([[3.0], [4.0]]), "bias": jnp.array([5.0])}
    >>> l2(0.1)(params)
    Array(1.25, dtype=float32)

    Source: lectures C, L, M and N. (Keras' L2 and lecture L's example have no ½:
    their λ is half of this one.)
    """
    check_knob("l2 strength", strength, 0)

    def penalty(params: Any) -> jax.Array:
        included = jax.tree.leaves(mask_tree(mask, params))
        weights = [w for w, counts in zip(jax.tree.leaves(params), included, strict=True) if counts]
        return 0.5 * jnp.asarray(strength, dtype=float) * sum_of_squares(weights)

    return penalty
