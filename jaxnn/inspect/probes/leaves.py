"""What probes of parameters share: which leaves they look at, and the leaves' norms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int, check_text
from jaxnn.norms import scaled_norm, sum_of_squares
from jaxnn.tree import path_name

__all__ = ["check_pattern", "norms_of", "paths_of"]


def paths_of(params: Any, pattern: str = "") -> dict[str, Any]:
    """The leaves of parameters by path, where the pattern is found in the path.

    Raises:
      ValueError: a pattern that is found in none.

    >>> list(paths_of({"Dense_0": {"bias": 0.0, "kernel": 1.0}}, "kernel"))
    ['Dense_0/kernel']
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {path_name(path): leaf for path, leaf in leaves}
    found = {name: leaf for name, leaf in named.items() if re.search(pattern, name)}
    if pattern and not found:
        raise ValueError(
            f"parameters must be found in the path of one, got {pattern!r}, and there are "
            + ", ".join(named)
        )
    return found


def check_pattern(name: str, value: Any, every: Any) -> None:
    """Refuse a `value` that is no regular expression, and an `every` that is no positive integer.

    >>> check_pattern("layers", "Dense_.", 1)
    """
    check_text(name, value)
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{name} must be a regular expression, got {value!r}: {error}") from error
    check_positive_int("every", every)


def norms_of(leaves: Sequence[jax.Array]) -> jax.Array:
    r"""The norm of each array, $\lVert x \rVert_2$, (arrays,) in float32 or wider.

    Each array is read once, and again where its squares have overflowed or vanished.

    >>> norms_of([jnp.array([3.0, 4.0]), jnp.array([3e-30, 4e-30])])
    Array([5.e+00, 5.e-30], dtype=float32)
    """
    if not leaves:
        return jnp.zeros((0,), jnp.float32)
    squares = jnp.stack([sum_of_squares(leaf) for leaf in leaves])
    # Far above the sums in which squares that vanished would make a difference.
    small = squares < jnp.finfo(squares.dtype).tiny ** 0.5

    def again(_: Any) -> tuple[jax.Array, jax.Array]:
        scales, norms = jnp.stack([jnp.stack(scaled_norm(leaf)) for leaf in leaves], axis=1)
        return jnp.zeros((), bool), scales * norms

    # A loop of at most one turn: a conditional would take both ways under `vmap`.
    wanted = (small | jnp.isinf(squares)).any()
    return jax.lax.while_loop(lambda carry: carry[0], again, (wanted, jnp.sqrt(squares)))[1]
