"""Frozen layers: which they are, known to all code that is traced within a step.

A frozen layer that keeps running statistics, such as batch normalization, uses and keeps them in
training. The training step declares the frozen parameters; the adapters of models, which know
how a path names a layer, ask here which layers that makes frozen.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import flax.linen as nn
import jax

from jaxnn.nn.modes import MODES
from jaxnn.tree import path_name

__all__ = ["evaluated", "frozen_layers", "frozen_parameters", "keep_state", "owners"]

_FROZEN: ContextVar[frozenset[str]] = ContextVar("jaxnn_frozen_parameters", default=frozenset())
_trace_key = jax.make_user_context()  # part of the key of JAX's caches of traces

# How a layer is told to use its running statistics, as a keyword of its call or an attribute.
_EVALUATION = {name: not on for name, on in MODES.items()}


@contextmanager
def frozen_parameters(paths: frozenset[str]) -> Iterator[None]:
    """Declare which parameters are frozen, by their paths, for the code that is traced within.

    >>> with frozen_parameters(frozenset({"norm/scale"})):
    ...     frozen_layers({"norm": {"scale": 1.0}, "head": {"bias": 1.0}}, {"norm", "head"})
    frozenset({'norm'})
    """
    token = _FROZEN.set(paths)
    try:
        with _trace_key(paths):
            yield
    finally:
        _FROZEN.reset(token)


def frozen_layers(params: Any, layers: Iterable[str]) -> frozenset[str]:
    """Return those of the layers all of whose parameters are frozen.

    A layer without parameters goes with the smallest module around it that has some.
    """
    frozen = _FROZEN.get()
    if not frozen:
        return frozenset()
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]

    def is_frozen(layer: str) -> bool:
        own = [path for path in paths if not layer or path.startswith(f"{layer}/")]
        if not own and layer:
            return is_frozen(layer.rpartition("/")[0])
        return bool(own) and frozen.issuperset(own)

    return frozenset(layer for layer in layers if is_frozen(layer))


def owners(state: Any) -> set[str]:
    """Return the paths of the layers that a tree of state belongs to.

    >>> owners({"norm": {"mean": 0.0, "var": 1.0}})
    {'norm'}
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {path_name(path[:-1]) for path, _ in leaves}


def keep_state(layers: frozenset[str], old: Any, new: Any) -> Any:
    """Return the new state, but the old one of the given layers."""
    return jax.tree_util.tree_map_with_path(
        lambda path, a, b: a if path_name(path[:-1]) in layers else b, old, new
    )


@contextmanager
def evaluated(layers: frozenset[str]) -> Iterator[None]:
    """Run the given layers of a Linen module in their mode for evaluation."""

    def run(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name != "__call__" or "/".join(module.path) not in layers:
            return call(*args, **kwargs)
        signature = inspect.signature(type(module).__call__)
        given = signature.bind_partial(module, *args, **kwargs)
        # Flax refuses a mode that is told twice: an attribute goes before an argument.
        attributes = {
            name: getattr(module, name)
            for name in _EVALUATION
            if isinstance(getattr(module, name, None), bool)
        }
        told = {name for name in _EVALUATION if name in signature.parameters}
        given.arguments.update({name: _EVALUATION[name] for name in told - set(attributes)})
        for name in attributes:
            object.__setattr__(module, name, _EVALUATION[name])
        try:
            return call(*given.args[1:], **given.kwargs)
        finally:
            for name, value in attributes.items():
                object.__setattr__(module, name, value)

    with nn.intercept_methods(run):
        yield
