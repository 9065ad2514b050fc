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


def path_name(path: Any) -> str:
    """A key path of `jax.tree_util` as text.

    >>> paths = jax.tree_util.tree_leaves_with_path({"Dense_0": {"kernel": 1.0}})
    >>> path_name(paths[0][0])
    'Dense_0/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


_ONE_PER_UNIT = ("bias", "scale")


def weights_only(path: str, leaf: Any) -> bool:
    """The rule of what counts as a weight: two axes or more, and not called bias or scale.

    Dense and convolution kernels and embeddings are weights. Biases and the scales of
    normalization layers are not, also where they have several axes, as in attention.

    >>> weights_only("Dense_0/kernel", jnp.ones((3, 2))), weights_only("Dense_0/bias", jnp.ones(2))
    (True, False)
    """
    return jnp.ndim(leaf) >= 2 and path.rpartition("/")[2] not in _ONE_PER_UNIT


def mask_tree(mask: Mask | None, params: Any) -> Any:
    """A tree of Python booleans like `params`: which leaves a rule applies to.

    Args:
      mask: "weights_only", the rule of that name; "all" or None; any other regular
        expression, searched for in the leaf's path ("Dense_0/kernel"); a function of
        (path, leaf), such as `weights_only`; or, as in Optax, a tree of booleans or a
        function of params that returns one.
      params: a pytree of arrays.

    Returns:
      A pytree of the same structure.

    Raises:
      TypeError: anything else.
      ValueError: a tree of booleans that does not fit `params`.

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
    # A prefix will do: one boolean for all that lies below it.
    return jax.tree.map(lambda flag, below: jax.tree.map(lambda _: flag, below), mask, params)


def _rule(mask: str | re.Pattern[str] | Callable[..., Any] | None) -> Callable[..., Any]:
    if mask == "weights_only":  # by name, since optax.inject_hyperparams calls what is callable
        return weights_only
    if callable(mask):
        return mask
    pattern = re.compile("" if mask is None or mask == "all" else mask)
    return lambda path, leaf: pattern.search(path) is not None


def _wide(tree: Any) -> list[jax.Array]:
    # Half-precision leaves are widened before they are summed, and do not overflow.
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in leaves]


def sum_of_squares(tree: Any) -> jax.Array:
    r"""$\sum_i \lVert x_i \rVert_2^2$ over all leaves, in float32 at least.

    >>> sum_of_squares({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(25., dtype=float32)
    """
    return sum((jnp.vdot(x, x).real for x in _wide(tree)), start=jnp.zeros((), jnp.float32))


def sum_of_absolutes(tree: Any) -> jax.Array:
    r"""$\sum_i \lVert x_i \rVert_1$ over all leaves, in float32 at least.

    >>> sum_of_absolutes({"a": jnp.array([3.0]), "b": jnp.array([[-4.0]])})
    Array(7., dtype=float32)
    """
    # |x| as x·sign(x), whose derivative at 0 is 0; that of jnp.abs is 1, and would move a
    # weight that L1 has brought to rest.
    absolutes = ((x * jax.lax.stop_gradient(jnp.sign(x))).sum() for x in _wide(tree))
    return sum(absolutes, start=jnp.zeros((), jnp.float32))


def global_norm(tree: Any) -> jax.Array:
    r"""The Euclidean norm of all leaves together, $\sqrt{\sum_i \lVert x_i \rVert^2}$.

    Computed in float32 at least.

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])})
    Array(5., dtype=float32)
    """
    return jnp.sqrt(sum_of_squares(tree))
