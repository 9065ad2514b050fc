"""Norms, path masks and paths of parameter trees."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "Mask",
    "global_norm",
    "mask_tree",
    "path_name",
    "sum_of_absolutes",
    "sum_of_squares",
    "weights_only",
]

Mask = str | re.Pattern[str] | Callable[..., Any] | Mapping[str, Any]
"""The type of a mask: what `mask_tree` takes."""


def path_name(path: Any) -> str:
    """Write a key path of `jax.tree_util` as text.

    >>> paths = jax.tree_util.tree_leaves_with_path({"Dense_0": {"kernel": 1.0}})
    >>> path_name(paths[0][0])
    'Dense_0/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


_ONE_PER_UNIT = ("bias", "scale")


def weights_only(path: str, leaf: Any) -> bool:
    """Say whether a leaf is a weight: it has two axes or more and is not named bias or scale.

    Dense and convolution kernels and embeddings are weights. Biases and the scales of
    normalization layers are not, even if they have several axes, as in attention.

    >>> weights_only("Dense_0/kernel", jnp.ones((3, 2))), weights_only("Dense_0/bias", jnp.ones(2))
    (True, False)
    """
    return jnp.ndim(leaf) >= 2 and path.rpartition("/")[2] not in _ONE_PER_UNIT


def mask_tree(mask: Mask | None, params: Any) -> Any:
    """Build a tree of Python booleans like `params`, which says to which leaves a mask applies.

    Args:
      mask: "weights_only", which is the function of that name; "all" or None, for every leaf;
        any other regular expression, which is searched for in the leaf's path
        ("Dense_0/kernel"); a function of (path, leaf), such as `weights_only`; or, as in Optax,
        a tree of booleans or a function of params that returns one.
      params: a pytree of arrays.

    Returns:
      A pytree of the same structure.

    Raises:
      TypeError: `mask` is anything else.
      ValueError: a tree of booleans does not have the structure of `params`.

    >>> params = {"Dense_0": {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))}}
    >>> mask_tree("bias", params)
    {'Dense_0': {'bias': True, 'kernel': False}}
    """
    if callable(mask) and len(inspect.signature(mask).parameters) == 1:
        mask = mask(params)
    if mask is None or isinstance(mask, (str, re.Pattern)) or callable(mask):
        rule = _rule(mask)
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: bool(rule(path_name(path), leaf)), params
        )
    flags = jax.tree.leaves(mask)
    if not flags or not all(isinstance(flag, (bool, np.bool_)) for flag in flags):
        raise TypeError(
            "mask must be 'all', a regular expression, a function (path, leaf), or a tree of "
            f"booleans, got {mask!r}"
        )
    # The tree may be a prefix of params: a boolean then applies to all leaves below it.
    try:
        return jax.tree.map(lambda flag, below: jax.tree.map(lambda _: flag, below), mask, params)
    except ValueError as error:
        raise ValueError(
            f"mask must have the structure of the parameters, {jax.tree.structure(params)}, or be "
            f"a prefix of it, got {mask!r}"
        ) from error


def _rule(mask: str | re.Pattern[str] | Callable[..., Any] | None) -> Callable[..., Any]:
    if mask == "weights_only":  # a name, as optax.inject_hyperparams calls every function
        return weights_only
    if callable(mask):
        return mask
    pattern = re.compile("" if mask is None or mask == "all" else mask)
    return lambda path, leaf: pattern.search(path) is not None


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
    # would move a weight that is exactly 0.
    absolutes = ((x * jax.lax.stop_gradient(jnp.sign(x))).sum() for x in _wide(tree))
    return sum(absolutes, start=jnp.zeros((), jnp.float32))


def global_norm(tree: Any) -> jax.Array:
    r"""Compute the norm of all leaves together, $\sqrt{\sum_i \lVert x_i \rVert_2^2}$.

    It is computed in float32 or wider.

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(5., dtype=float32)
    """
    return jnp.sqrt(sum_of_squares(tree))
