"""float64 on the CPU backend, within a block and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = ["float64_on_cpu", "narrowed_on_the_way", "widened"]


@contextmanager
def float64_on_cpu() -> Iterator[None]:
    """Compute in 64 bits and on the CPU inside `with`; no setting outlives it."""
    if hasattr(jax, "enable_x64"):
        wide = jax.enable_x64(True)
    else:
        from jax.experimental import enable_x64  # type: ignore[attr-defined]  # before JAX 0.8

        wide = enable_x64(True)
    with wide, jax.default_device(jax.devices("cpu")[0]):
        yield


def widened(tree: Any) -> Any:
    """Copy the numbers of a tree to the default device, floating-point ones as float64."""

    def wide(leaf: Any) -> Any:
        dtype = jnp.result_type(leaf)
        if jnp.issubdtype(dtype, jax.dtypes.extended):
            return jax.random.wrap_key_data(
                jnp.asarray(np.asarray(jax.random.key_data(leaf))), impl=jax.random.key_impl(leaf)
            )
        if jnp.issubdtype(dtype, jnp.floating):
            return jnp.asarray(np.asarray(leaf).astype(np.float64))
        return jnp.asarray(np.asarray(leaf))

    return jax.tree.map(wide, tree)


def narrowed_on_the_way(traced: ClosedJaxpr) -> str:
    """Name the dtype to which a program casts float64 on the way to its result; "" for none.

    What does not reach the result, such as a metric, does not count.
    """
    return _narrowed(traced.jaxpr, [True] * len(traced.jaxpr.outvars))


def _narrowed(jaxpr: Jaxpr, wanted: list[bool]) -> str:
    needed = {v for v, on in zip(jaxpr.outvars, wanted, strict=True) if on and _is_variable(v)}
    for equation in reversed(jaxpr.eqns):
        reached = [v in needed for v in equation.outvars]
        if not any(reached):
            continue
        needed |= {v for v in equation.invars if _is_variable(v)}
        if equation.primitive.name == "convert_element_type":
            ends: tuple[Any, Any] = (equation.invars[0].aval, equation.outvars[0].aval)
            before, after = (end.dtype for end in ends)
            if before == np.float64 and jnp.issubdtype(after, jnp.floating) and after != before:
                return str(after)
        for inner in _inner(equation):
            outputs = len(inner.outvars)
            found = _narrowed(inner, reached if outputs == len(reached) else [True] * outputs)
            if found:
                return found
    return ""


def _inner(equation: Any) -> Iterator[Jaxpr]:
    for value in equation.params.values():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(one, ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, Jaxpr):
                yield one


def _is_variable(value: Any) -> bool:
    return not isinstance(value, Literal)
