"""Arithmetic in few bits, numbers kept in many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["computed_in"]


def computed_in(dtype: np.dtype, apply: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
    """A model's function that computes in another precision than its parameters have.

    Floating-point parameters and inputs are cast on the way in, so gradients come out in the
    parameters' own type. Outputs of fewer bits than float32 are cast to it, and the model's
    state has the types that it had.

    Args:
      dtype: a floating-point type.
      apply: `(params, model_state, inputs) -> (outputs, model_state)`.

    Returns:
      A function like `apply`.

    >>> bfloat16 = jnp.dtype(jnp.bfloat16)
    >>> apply = computed_in(bfloat16, lambda params, state, x: (params * x, state))
    >>> float(apply(jnp.float32(1.001), {}, 3.0)[0])  # 8 bits of 1.001
    3.0

    Source: Micikevicius et al. 2018 (the parameters' master copy); Kalamkar et al. 2019
    (bfloat16, whose range needs no scaling of the loss).
    """

    def narrow(leaf: Any) -> Any:
        return jnp.asarray(leaf, dtype) if _is_floating(leaf) else leaf

    def widened(leaf: Any) -> Any:
        if not _is_floating(leaf):
            return leaf
        return jnp.asarray(leaf, jnp.promote_types(jnp.result_type(leaf), jnp.float32))

    def run(params: Any, model_state: Any, inputs: Any) -> tuple[Any, Any]:
        params, inputs = jax.tree.map(narrow, (params, inputs))
        outputs, new_state = apply(params, model_state, inputs)
        kept = jax.tree.map(
            lambda old, new: jnp.asarray(new, jnp.result_type(old)), model_state, new_state
        )
        return jax.tree.map(widened, outputs), kept

    return run


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
