"""NNX modules as pure functions; see `jaxnn.nn.from_nnx`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from jaxnn.keys import Keys, stream
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.adapters.told import refusal
from jaxnn.nn.frozen import frozen_layers, keep_state, owners
from jaxnn.nn.modes import MODES, keywords_of

__all__ = ["functional"]

# Parameters first and state fourth: random streams are keyed by address, and what a module
# notes down while it is called is no state.
_KINDS = (nnx.Param, nnx.RngState, nnx.Intermediate, nnx.Variable, ...)


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """See `jaxnn.nn.from_nnx`."""
    kind = _kind(make)
    if not issubclass(kind, nnx.Module):
        raise TypeError(f"make must return an nnx.Module for nnx.Rngs, got a {kind.__name__}")

    def init(key: jax.Array, inputs: Any) -> tuple[Any, Any]:
        del inputs
        return _variables(make(nnx.Rngs(key)))

    def apply(
        params: Any, model_state: Any, inputs: Any, *, train: bool, keys: Keys, weight: Any
    ) -> tuple[Any, Any]:
        module = make(nnx.Rngs(0))
        for state, values in zip(_states(module), (params, model_state), strict=True):
            nnx.replace_by_pure_dict(state, values)
            nnx.update(module, state)
        _key_streams(module, keys)
        (module.train if train else module.eval)()
        kept = frozen_layers(params, owners(model_state)) if train else frozenset()
        _evaluate(module, kept)
        keywords = keywords_of(kind.__call__, train=train, weight=weight)
        told = not train or bool(kept) or bool(keywords.keys() & MODES.keys())
        before = {} if told else _moving(module)
        outputs = module(inputs, **keywords)
        for what, values in _moving(module).items() if before else ():
            if all(a is b for a, b in zip(values, before[what], strict=True)):
                raise ValueError(refusal(kind, f"leaves its {what} as it is in training"))
        if not train:
            return outputs, model_state
        return outputs, keep_state(kept, model_state, _variables(module)[1])

    return Functional(init, apply, "weight" in keywords_of(kind.__call__, train=True))


def _kind(make: Callable[[nnx.Rngs], nnx.Module]) -> type:
    """The class of the module, of which nothing is computed."""
    kinds: list[type] = []
    jax.eval_shape(lambda: kinds.append(type(make(nnx.Rngs(0)))))
    return kinds[0]


def _states(module: nnx.Module) -> tuple[Any, Any]:
    params, _, _, rest, _ = nnx.state(module, *_KINDS)
    return params, rest


def _variables(module: nnx.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    params, rest = _states(module)
    return nnx.to_pure_dict(params), nnx.to_pure_dict(rest)


def _evaluate(module: nnx.Module, layers: frozenset[str]) -> None:
    """Let the given layers use their running statistics."""
    for path, node in nnx.iter_graph(module):
        if "/".join(map(str, path)) in layers and hasattr(node, "use_running_average"):
            node.use_running_average = True


def _moving(module: nnx.Module) -> dict[str, list[Any]]:
    """Collect the arrays that a call in training replaces: statistics, and counts of draws."""
    moving = {
        "running statistics": jax.tree.leaves(nnx.to_pure_dict(nnx.state(module, nnx.BatchStat)))
    }
    for path, node in nnx.iter_graph(module):
        if isinstance(node, nnx.Dropout) and node.rate != 0:
            counts = nnx.to_pure_dict(nnx.state(node, nnx.RngCount))
            moving[f"dropout {'/'.join(map(str, path))}"] = jax.tree.leaves(counts)
    return {what: values for what, values in moving.items() if values}


def _key_streams(module: nnx.Module, keys: Keys) -> None:
    """Key each random stream by its address, whatever was drawn from it before."""
    for path, node in nnx.iter_graph(module):
        if isinstance(node, nnx.RngStream):
            key = stream(keys(node.key.tag), "/".join(map(str, path)))
            shape = node.key.shape
            node.key[...] = jax.random.split(key, shape) if shape else key
