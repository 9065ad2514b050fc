"""Path masks and paths of parameter trees, and checks of what dtypes can hold."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import is_concrete

__all__ = [
    "Mask",
    "check_held",
    "check_numbers",
    "check_structure",
    "host_array",
    "mask_tree",
    "outline",
    "path_name",
    "refuse_complex",
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


def outline(tree: Any) -> str:
    """Say in a few words how much a tree holds, however large it is.

    >>> outline({"kernel": jnp.ones((300, 4)), "bias": jnp.ones(4)})
    '1,204 numbers in 2 arrays'
    """
    shapes = [getattr(leaf, "shape", ()) for leaf in jax.tree.leaves(tree)]
    numbers = sum(math.prod(shape) for shape in shapes)
    return f"{numbers:,} numbers in {len(shapes):,} array" + "s" * (len(shapes) != 1)


_ONE_PER_UNIT = ("bias", "scale")


def weights_only(path: str, leaf: Any) -> bool:
    """Say whether a leaf is a weight: it has two axes or more and is not named bias or scale.

    Dense and convolution kernels and embeddings are weights. Biases and the scales of
    normalization layers are not, even if they have several axes, as in attention.

    >>> weights_only("Dense_0/kernel", jnp.ones((3, 2))), weights_only("Dense_0/bias", jnp.ones(2))
    (True, False)
    """
    if not isinstance(path, str):
        raise TypeError(f'path must be a text, such as "Dense_0/kernel", got {path!r}')
    axes = leaf.ndim if hasattr(leaf, "ndim") else host_array("leaf", leaf).ndim
    return axes >= 2 and path.rpartition("/")[2] not in _ONE_PER_UNIT


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
    try:
        pattern = re.compile("" if mask is None or mask == "all" else mask)
    except re.error as error:
        raise ValueError(f"mask must be a regular expression, got {mask!r}: {error}") from None
    return lambda path, leaf: pattern.search(path) is not None


def check_held(name: str, value: Any, tree: Any) -> None:
    """Refuse a concrete constant that vanishes or overflows in the dtype of a leaf.

    Args:
      name: the argument's name, as the user wrote it.
      value: a number or an array of them; a traced one, a schedule and None pass.
      tree: the arrays in whose dtypes it is used.

    Raises:
      TypeError: a leaf is no number and no array of them.
      ValueError: in the dtype of some leaf a value is 0 or infinite.

    >>> check_held("eps", 1e-8, {"kernel": jnp.ones(2)})
    >>> check_held("eps", 1e-40, {"kernel": jnp.ones(2)})
    Traceback (most recent call last):
    ...
    ValueError: eps must be 0 or in [1.2e-38, 3.4e+38] for the float32 of kernel, got 1e-40
    """
    check_numbers("params", tree)
    if value is None or callable(value) or not is_concrete(value):
        return
    sizes = np.abs(np.asarray(value).astype(np.float64))
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        dtype = jnp.result_type(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            continue
        limits = jnp.finfo(dtype)
        # XLA sets numbers below the normal ones to 0; float16 it computes in float32.
        least = limits.smallest_subnormal if dtype == jnp.float16 else limits.tiny
        low, high = float(least), float(limits.max)
        if sizes.min() < low or sizes.max() > high:
            place = path_name(path) or "the parameters"
            raise ValueError(
                f"{name} must be 0 or in [{low:.2g}, {high:.2g}] for the {dtype.name} of {place}, "
                f"got {value}"
            )


def check_numbers(name: str, tree: Any) -> None:
    """Refuse a tree with a leaf that is no number and no array of numbers.

    >>> check_numbers("params", {"kernel": "zeros"})
    Traceback (most recent call last):
    ...
    TypeError: params must be a tree of arrays of numbers, got 'zeros' at kernel
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = leaf if isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct)) else None
        dtype = (host_array(name, leaf) if array is None else array).dtype
        if jnp.issubdtype(dtype, jnp.number) and dtype.kind != "m":  # times are integers to NumPy
            continue
        place = f" at {path_name(path)}" if path else ""
        found = f"dtype {dtype}" if hasattr(leaf, "dtype") else repr(leaf)
        raise TypeError(f"{name} must be a tree of arrays of numbers, got {found}{place}")


def check_structure(name: str, tree: Any, like: Any) -> None:
    """Refuse a tree of another structure than that of the parameters.

    >>> check_structure("updates", {"kernel": 0.5}, {"kernel": 1.0})
    """
    if jax.tree.structure(tree) == jax.tree.structure(like):
        return
    here, there = (
        {path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(part)}
        for part in (tree, like)
    )
    alone = sorted(here ^ there)
    raise ValueError(
        f"{name} must have the structure of the parameters, {outline(like)}, got {outline(tree)}"
        + (f"; only one of them has {alone[0]!r}" if alone else "")
    )


def host_array(name: str, value: Any) -> Any:
    """Return an array or a list as a NumPy array, or as a JAX array where it holds tracers.

    Raises:
      TypeError: what NumPy cannot read, such as random keys.
      ValueError: a ragged list, or integers that JAX would narrow to others, such as a label of
        2³² to class 0.

    >>> host_array("labels", [0, 2])
    array([0, 2])
    """
    if not all(map(is_concrete, jax.tree.leaves(value))):
        return jnp.asarray(value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array, got a list of unequal lengths") from None
    except TypeError:
        raise TypeError(f"{name} must be an array of numbers, got {value!r}") from None
    if array.dtype.kind not in "iu" or not array.size:
        return array
    kept = np.iinfo(jax.dtypes.canonicalize_dtype(array.dtype))
    if array.dtype.itemsize > kept.dtype.itemsize:
        low, high = array.min(), array.max()
        if low < kept.min or high > kept.max:
            raise ValueError(
                f"{name} must hold integers from {kept.min} to {kept.max}, which are all that JAX "
                f"keeps without 64 bits, got {low if low < kept.min else high}"
            )
    return array


def refuse_complex(what: str, tree: Any) -> None:
    """Refuse complex leaves, for which `what` is not defined.

    >>> refuse_complex("clip", {"kernel": jnp.ones(2)})
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.iscomplexobj(leaf):
            place = path_name(path) or "the parameters"
            raise TypeError(
                f"{what} is defined for real numbers alone, got {jnp.result_type(leaf)} at {place}"
            )
