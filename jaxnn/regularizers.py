"""Penalties on the parameters, which the training step adds to the loss.

A regularizer is a pure function `params -> scalar`. A mask, of the same kind as that of weight
decay, says which parameters it penalizes; by default biases and norm scales are left out.
Lecture M advises never to use L1 or L2 with Adam-type optimizers, which divide the penalty's
gradient by the root of the second moment; use decoupled weight decay there instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_text
from jaxnn.norms import sum_of_absolutes, sum_of_squares
from jaxnn.tree import Mask, check_held, check_numbers, mask_tree, path_name

__all__ = ["Regularizer", "elastic", "l1", "l2", "per_layer"]

Regularizer = Callable[[Any], jax.Array]
"""The type of a regularizer: `params -> penalty`, a scalar."""

Number = float | jax.Array


def _counted(mask: Mask, params: Any, **strengths: Number) -> dict[str, jax.Array]:
    """Return the leaves that the mask selects, by path; refuse strengths that they cannot hold."""
    check_numbers("params", params)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    included = jax.tree.leaves(mask_tree(mask, params))
    weights = {
        path_name(path): leaf
        for (path, leaf), counts in zip(leaves, included, strict=True)
        if counts
    }
    for name, strength in strengths.items():
        check_held(name, strength, weights)
    return weights


def l1(strength: Number, *, mask: Mask = "weights_only") -> Regularizer:
    r"""Build L1 regularization, $\lambda \lVert W \rVert_1$.

    It makes weights sparse, that is, brings many of them very close to 0 (lecture N). Gradient
    steps do not set them to exactly 0: the gradient is $\lambda\,\mathrm{sign}(W)$, taken as
    0 at 0, so a weight steps back and forth around 0. `jaxnn.optim.soft_threshold` does set them
    to exactly 0.

    Args:
      strength: λ, at least 0; a float or a traced scalar.
      mask: which parameters are penalized, see `jaxnn.tree.mask_tree`.

    Returns:
      A function of a parameter tree that returns the scalar penalty.

    Raises:
      ValueError: a concrete `strength` is below 0. The penalty itself raises one if it vanishes
        or overflows in the dtype of a parameter.

    >>> params = {"kernel": jnp.array([[3.0], [-4.0]]), "bias": jnp.array([5.0])}
    >>> l1(0.1)(params).round(3)
    Array(0.7, dtype=float32)

    Source: lectures C, L, M and N.
    """
    check_knob("l1 strength", strength, 0)

    def penalty(params: Any) -> jax.Array:
        weights = _counted(mask, params, strength=strength)
        return jnp.asarray(strength, float) * sum_of_absolutes(weights)

    return penalty


def l2(strength: Number, *, mask: Mask = "weights_only") -> Regularizer:
    r"""Build L2 regularization, $\tfrac12 \lambda \lVert W \rVert_2^2$.

    Its gradient is $\lambda W$.

    Args:
      strength: λ, at least 0; a float or a traced scalar.
      mask: which parameters are penalized, see `jaxnn.tree.mask_tree`.

    Returns:
      A function of a parameter tree that returns the scalar penalty.

    Raises:
      ValueError: a concrete `strength` is below 0. The penalty itself raises one if it vanishes
        or overflows in the dtype of a parameter.

    >>> params = {"kernel": jnp.array([[3.0], [4.0]]), "bias": jnp.array([5.0])}
    >>> l2(0.1)(params)
    Array(1.25, dtype=float32)

    Source: lectures C, L, M and N. (Keras' L2 and lecture L's example have no ½,
    so their λ is half of this one.)
    """
    check_knob("l2 strength", strength, 0)

    def penalty(params: Any) -> jax.Array:
        weights = _counted(mask, params, strength=strength)
        return 0.5 * jnp.asarray(strength, float) * sum_of_squares(weights)

    return penalty


def elastic(l1: Number, l2: Number, *, mask: Mask = "weights_only") -> Regularizer:
    r"""Build the elastic net, $\sum_w \lambda_1 |w| + \lambda_2 w^2$, as lecture N writes it.

    It has no ½, so `elastic(0, s)` equals `l2(2 * s)`.

    Args:
      l1: λ₁, at least 0; a float or a traced scalar.
      l2: λ₂, at least 0; a float or a traced scalar.
      mask: which parameters are penalized, see `jaxnn.tree.mask_tree`.

    Returns:
      A function of a parameter tree that returns the scalar penalty.

    Raises:
      ValueError: a concrete strength is below 0. The penalty itself raises one if it vanishes
        or overflows in the dtype of a parameter.

    >>> elastic(0.1, 0.2)({"kernel": jnp.array([[3.0], [-4.0]])}).round(3)
    Array(5.7, dtype=float32)

    Source: Zou and Hastie 2005; lecture N.
    """
    check_knob("elastic l1", l1, 0)
    check_knob("elastic l2", l2, 0)

    def penalty(params: Any) -> jax.Array:
        weights = _counted(mask, params, l1=l1, l2=l2)
        absolutes = jnp.asarray(l1, float) * sum_of_absolutes(weights)
        return absolutes + jnp.asarray(l2, float) * sum_of_squares(weights)

    return penalty


def per_layer(
    regularizer: Callable[..., Regularizer],
    strengths: Mapping[str, Number],
    *,
    mask: Mask = "weights_only",
) -> Regularizer:
    """Give each layer its own strength, by path; other layers are not penalized.

    Args:
      regularizer: `l1` or `l2`, or any `(strength, mask=...) -> Regularizer`.
      strengths: maps regular expressions on the path, such as "Dense_0", to strengths λ. A leaf
        that several expressions match is penalized by each.
      mask: which parameters are penalized within a layer.

    Returns:
      A function of a parameter tree that returns the scalar penalty.

    Raises:
      TypeError: a regularizer that is no function, or strengths that are no dict of texts.
      ValueError: a concrete strength is below 0, or a key is no regular expression. The penalty
        itself raises one if an expression matches no parameter.

    >>> params = {"Dense_0": {"kernel": jnp.ones((1, 2))}, "Dense_1": {"kernel": jnp.ones((2, 1))}}
    >>> per_layer(l2, {"Dense_0": 0.1, "Dense_1": 0.3})(params).round(3)
    Array(0.4, dtype=float32)

    Source: lecture N.
    """

    if not callable(regularizer):
        raise TypeError(
            f"regularizer must be a function (strength, mask=...), such as l2, got {regularizer!r}"
        )
    if not isinstance(strengths, Mapping):
        raise TypeError(
            "strengths must be a dict from regular expressions on paths to strengths, such as "
            f'{{"Dense_0": 0.1}}, got {strengths!r}'
        )
    for pattern in strengths:
        try:
            re.compile(check_text("strengths", pattern))
        except re.error as error:
            raise ValueError(
                f"strengths must have regular expressions as keys, got {pattern!r}: {error}"
            ) from None

    def within(pattern: str) -> Mask:
        def rule(params: Any) -> Any:
            named = mask_tree(re.compile(pattern), params)
            both = jax.tree.map(lambda a, b: a and b, named, mask_tree(mask, params))
            if not any(jax.tree.leaves(both)):
                raise ValueError(
                    f"strengths must name parameters, got none for {pattern!r} with mask={mask!r}"
                )
            return both

        return rule

    parts = [regularizer(strength, mask=within(path)) for path, strength in strengths.items()]
    return lambda params: sum((part(params) for part in parts), start=jnp.zeros((), float))
