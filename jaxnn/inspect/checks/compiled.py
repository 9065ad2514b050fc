"""Compile what runs a few times: quickly, and without keeping it when its check is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Jit a function, on CPU without the optimizations of LLVM that take longest.

    Unlike `jaxnn.train.devices.compilation.quickly`, it keeps no reference to the function, which
    holds a recipe and data here.
    """
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)
