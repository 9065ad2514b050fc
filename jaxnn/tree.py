"""Norms, path masks and paths of parameter trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Mask", "global_norm", "mask_tree", "path_name", "weights_only"]

Mask = str | re.Pattern[str] | Callable[[str, Any], bool]


def path_name(path: Any) -> str:
    """A key path of `jax.tree_util` as text.

    >>> paths = jax.tree_util.tree_leaves_with_path({"Dense_0": {"kernel": 1.0}})
    >>> path_name(paths[0][0])
    'Dense_0/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def weights_only(path: str, leaf: Any) -> bool:
    """The rule of what counts as a weight: two axes or more.

    Dense and convolution kernels and embeddings are weights; biases and the scales of
    normalization layers, which have one axis, are not.

    >>> weights_only("Dense_0/kernel", jnp.ones((3, 2))), weights_only("Dense_0/bias", jnp.ones(2))
    (True, False)
    """
    return jnp.ndim(leaf) >= 2


def mask_tree(mask: Mask, params: Any) -> Any:
    """A tree of Python booleans like `params`: which leaves a rule applies to.

    Args:
      mask: "all"; a regular expression, searched for in the leaf's path
        ("Dense_0/kernel"); or a function of (path, leaf), such as `weights_only`.
      params: a pytree of arrays.

    Returns:
      A pytree of the same structure.

    >>> params = {"Dense_0": {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))}}
    >>> mask_tree("bias", params)
    {'Dense_0': {'bias': True, 'kernel': False}}
    """
    rule = _rule(mask)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: bool(rule(path_name(path), leaf)), params
    )


def _rule(mask: Mask) -> Callable[[str, Any], bool]:
    if callable(mask):
        return mask
    if not isinstance(mask, (str, re.Pattern)):
        raise TypeError(
            f"mask must be 'all', a regular expression or a function (path, leaf), got {mask!r}"
        )
    pattern = re.compile("" if mask == "all" else mask)
    return lambda path, leaf: pattern.search(path) is not None


def global_norm(tree: Any) -> jax.Array:
    r"""The Euclidean norm of all leaves together, $\sqrt{\sum_i \lVert x_i \rVert^2}$.

    The squares are summed in float32 at least, so that half-precision leaves do not overflow.

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(5., dtype=float32)
    """
    leaves = [
        jnp.asarray(leaf).astype(jnp.promote_types(leaf.dtype, jnp.float32))
        for leaf in jax.tree.leaves(tree)
    ]
    return jnp.sqrt(sum((jnp.vdot(leaf, leaf).real for leaf in leaves), start=jnp.float32(0)))
