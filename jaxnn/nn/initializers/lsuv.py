"""Initial weights that depend on the data: layer-sequential unit variance."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import ScopeCollectionNotFound, ScopeParamNotFoundError

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.keys import as_key, stream
from jaxnn.nn.checks import fitting_parameters, numbers
from jaxnn.nn.initializers.basic import orthogonal
from jaxnn.tree import path_name

__all__ = ["layer_sequential_unit_variance"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Path = tuple[str, ...]  # of a module within its model


def layer_sequential_unit_variance(
    model: nn.Module,
    params: Any,
    batch: Any,
    *,
    model_state: Mapping[str, Any] = _NOTHING,
    orthogonal_key: jax.Array | int | None = None,
    tolerance: float | jax.Array = 0.01,
    max_iterations: int = 10,
    mode: Mapping[str, Any] = _NOTHING,
) -> Any:
    r"""Scale each layer's kernel until its outputs on a batch have variance 1.

    The layers are scaled one after the other, in the order in which the model calls them:

    $$W_l \leftarrow W_l / \sqrt{\mathrm{Var}(y_l)} \quad\text{until}\quad
    |\mathrm{Var}(y_l) - 1| \le \text{tolerance}$$

    where $y_l$ are the layer's outputs before the activation, over all examples and units.
    Where the bias is 0, one division suffices. A layer is any module with a parameter named
    `kernel`: dense or convolutional, from this library or from Flax. A layer that is called
    several times is scaled by its first call. A layer whose outputs do not vary is not changed.

    Args:
      model: a Linen module. Layers inside `nn.scan`, whose kernels are stacked, are refused.
      params: the model's parameters, from `model.init`.
      batch: inputs (n, …), or a dict that holds them as "x". No row may be padding.
      model_state: the model's other collections.
      orthogonal_key: if given, each kernel is first replaced by an orthogonal one drawn at
        the address (key, layer), as in the paper. None means to start from `params`.
      tolerance: allowed distance of a variance from 1, at least 0; a float or a traced scalar.
        The paper uses 0.1.
      max_iterations: maximal number of divisions per layer, at least 1.
      mode: keyword arguments of the model's call, such as `{"train": False}`. Layers that draw,
        such as dropout, must be off.

    Returns:
      The new parameters. The function is pure: it works under `jit` (with `model` closed over)
      and under `vmap`.

    Raises:
      ValueError: if a concrete argument lies outside its range, or the outputs of a layer cannot
        be seen from outside.

    >>> from jaxnn.nn import MLP
    >>> model, x = MLP((50, 3)), jax.random.normal(jax.random.key(0), (100, 20))
    >>> params = model.init(jax.random.key(1), x)["params"]
    >>> params = layer_sequential_unit_variance(model, params, x)
    >>> model.apply({"params": params}, x).var().round(3)
    Array(1., dtype=float32)

    Source: Mishkin and Matas 2016, in lecture S's reading list.
    """
    check_knob("tolerance", tolerance, 0)
    check_positive_int("max_iterations", max_iterations)
    _check_parts(model, params, model_state, mode)
    if isinstance(batch, Mapping) and "x" not in batch:
        raise ValueError(f'batch must hold the inputs as "x", got the keys {list(batch)}')
    inputs = batch["x"] if isinstance(batch, Mapping) else batch
    inputs = numbers("batch", inputs, axes=2)
    if orthogonal_key is not None:
        orthogonal_key = as_key(orthogonal_key)

    variables = {**model_state, "params": params}
    for layer in _layers_in_order(model, variables, inputs, mode):
        if orthogonal_key is not None:
            params = _with_orthogonal(params, layer, orthogonal_key)

        def variance(params: Any, layer: Path = layer) -> jax.Array:
            outputs = _outputs_of(layer, model, {**model_state, "params": params}, inputs, mode)
            return jnp.var(outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32)))

        params = _with_unit_variance(params, layer, variance, tolerance, max_iterations)
    return params


def _check_parts(model: Any, params: Any, model_state: Any, mode: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a flax.linen.Module, got {model!r}")
    for name, given in (("params", params), ("model_state", model_state), ("mode", mode)):
        if not isinstance(given, Mapping):
            raise TypeError(f"{name} must be a dict, got {given!r}")
    for leaf in jax.tree.leaves(params):
        numbers("params", leaf)
    if not all(isinstance(collection, Mapping) for collection in model_state.values()):
        raise TypeError(f"model_state must hold collections, each a dict, got {model_state!r}")
    known = inspect.signature(type(model).__call__).parameters
    if not any(known[name].kind == inspect.Parameter.VAR_KEYWORD for name in known):
        for name in mode:
            if name not in known:
                raise ValueError(f"mode must hold keywords of the model's call, got {name!r}")


def _with_unit_variance(
    params: Any,
    layer: Path,
    variance: Callable[[Any], jax.Array],
    tolerance: float | jax.Array,
    max_iterations: int,
) -> Any:
    def unfinished(carry: tuple[Any, jax.Array, jax.Array]) -> jax.Array:
        _, var, iteration = carry
        far = jnp.abs(var - 1) > jnp.asarray(tolerance, var.dtype)
        return far & (var > 0) & (iteration < max_iterations)

    def divide(carry: tuple[Any, jax.Array, jax.Array]) -> tuple[Any, jax.Array, jax.Array]:
        params, var, iteration = carry
        params = _with_kernel(params, layer, lambda w: w / jnp.sqrt(var).astype(w.dtype))
        return params, variance(params), iteration + 1

    start = (params, variance(params), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, divide, start)[0]


def _layers_in_order(
    model: nn.Module, variables: Any, inputs: Any, mode: Mapping[str, Any]
) -> list[Path]:
    """List the paths of all modules that own a kernel, in the order of their first calls."""
    layers: dict[Path, None] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        kernel = context.module.variables.get("params", {}).get("kernel")
        if context.method_name == "__call__" and hasattr(kernel, "shape"):
            layers.setdefault(context.module.path)
        return call(*args, **kwargs)

    state = [name for name in variables if name != "params"]
    try:
        with nn.intercept_methods(note), fitting_parameters("batch", inputs):
            jax.eval_shape(lambda v, x: model.apply(v, x, mutable=state, **mode), variables, inputs)
    except (ScopeCollectionNotFound, ScopeParamNotFoundError) as error:
        raise ValueError(f"params must be those of the model: {error}") from None
    return list(layers)


def _outputs_of(
    layer: Path, model: nn.Module, variables: Any, inputs: Any, mode: Mapping[str, Any]
) -> jax.Array:
    """Return the layer's outputs at its first call; the compiler removes all later work."""

    def is_it(module: nn.Module, method: str) -> bool:
        return module.path == layer and method == "__call__"

    state = [name for name in variables if name != "params"]
    _, seen = model.apply(
        variables, inputs, capture_intermediates=is_it, mutable=[*state, "intermediates"], **mode
    )
    below: Any = seen.get("intermediates", {})
    for name in layer:
        below = below.get(name, {})
    if "__call__" not in below:
        raise ValueError(f"the outputs of layer {'/'.join(layer)} cannot be seen from outside")
    return below["__call__"][0]


def _with_kernel(params: Any, layer: Path, change: Any) -> Any:
    name = "/".join((*layer, "kernel"))
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: change(leaf) if path_name(path) == name else leaf, params
    )


def _with_orthogonal(params: Any, layer: Path, key: jax.Array) -> Any:
    address = stream(key, "/".join(layer))
    return _with_kernel(params, layer, lambda w: orthogonal()(address, w.shape, w.dtype))
