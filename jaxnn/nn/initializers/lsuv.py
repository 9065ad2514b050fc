"""Initial weights that follow the data: layer-sequential unit variance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.keys import as_key, stream
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

    One layer after the other, in the order in which the model calls them:

    $$W_l \leftarrow W_l / \sqrt{\mathrm{Var}(y_l)} \quad\text{until}\quad
    |\mathrm{Var}(y_l) - 1| \le \text{tolerance}$$

    where $y_l$ are the layer's outputs before the activation, over all examples and units.
    Where the bias is 0, once is enough. A layer is any module with a parameter named
    `kernel`: dense, convolutional, ours or Flax's. One that is called several times counts
    where it is called first; one whose outputs do not vary is left as it is.

    Args:
      model: a Linen module. Layers inside `nn.scan`, whose kernels are stacked, are refused.
      params: its parameters, from `model.init`.
      batch: inputs (n, …), or a dict that holds them as "x". No row may be padding.
      model_state: the model's other collections.
      orthogonal_key: where given, each kernel is first replaced by an orthogonal one drawn at
        the address (key, layer), as the paper does. None: start from `params`.
      tolerance: how far from 1 a variance may stay, at least 0; a float or a traced scalar.
        The paper has 0.1.
      max_iterations: at most so many divisions per layer, at least 1.
      mode: arguments by name for the model's call, such as `{"train": False}`. What draws,
        such as dropout, must be off.

    Returns:
      The new parameters. Pure: works under `jit` (with `model` closed over) and `vmap`.

    Raises:
      ValueError: a concrete argument outside its range; a layer whose outputs cannot be seen.

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
    inputs = batch["x"] if isinstance(batch, Mapping) else batch

    variables = {**model_state, "params": params}
    for layer in _layers_in_order(model, variables, inputs, mode):
        if orthogonal_key is not None:
            params = _with_orthogonal(params, layer, as_key(orthogonal_key))

        def variance(params: Any, layer: Path = layer) -> jax.Array:
            outputs = _outputs_of(layer, model, {**model_state, "params": params}, inputs, mode)
            return jnp.var(outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32)))

        params = _with_unit_variance(params, layer, variance, tolerance, max_iterations)
    return params


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
    """The paths of all modules with a kernel of their own, by their first call."""
    layers: dict[Path, None] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        kernel = context.module.variables.get("params", {}).get("kernel")
        if context.method_name == "__call__" and hasattr(kernel, "shape"):
            layers.setdefault(context.module.path)
        return call(*args, **kwargs)

    state = [name for name in variables if name != "params"]
    with nn.intercept_methods(note):
        jax.eval_shape(lambda v, x: model.apply(v, x, mutable=state, **mode), variables, inputs)
    return list(layers)


def _outputs_of(
    layer: Path, model: nn.Module, variables: Any, inputs: Any, mode: Mapping[str, Any]
) -> jax.Array:
    """What the layer returns at its first call; the compiler drops all that comes after it."""

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
