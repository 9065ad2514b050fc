"""`summary`: the layers of a model with their outputs, parameters and operations."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.keys import Keys
from jaxnn.nn.adapters.forms import Model, as_functional
from jaxnn.nn.checks import shape_of_inputs
from jaxnn.tree import path_name

__all__ = ["Layer", "Summary", "summary"]


class Layer(NamedTuple):
    """One row of a summary.

    Attributes:
      path: path of the layer in the model; "" is the model itself.
      kind: name of its class; "" where it is not known.
      output: shape of its outputs, or a pytree of shapes; None where it is not known.
      parameters: number of parameters of its own, without those of layers inside it.
      operations: multiply-adds of its own; None where only the total is known.
    """

    path: str
    kind: str
    output: Any
    parameters: int
    operations: int | None


@dataclass(frozen=True)
class Summary:
    """The layers of a model and their totals, as `summary` returns them; `print` shows a table.

    Attributes:
      rows: the layers in the order of their first calls. A layer that only calls other layers
        has no row.
      parameters: number of entries in all parameters.
      state: number of entries in the model's state, such as running statistics.
      operations: multiply-adds of one call, in matrix products and convolutions.
      size: size of the parameters in bytes.
    """

    rows: tuple[Layer, ...]
    parameters: int
    state: int
    operations: int
    size: int

    def __str__(self) -> str:
        table = [
            ("path", "type", "output", "parameters", "multiply-adds"),
            *(
                (
                    row.path or "(model)",
                    row.kind,
                    "" if row.output is None else str(row.output),
                    f"{row.parameters:,}",
                    "" if row.operations is None else f"{row.operations:,}",
                )
                for row in self.rows
            ),
            ("total", "", "", f"{self.parameters:,}", f"{self.operations:,}"),
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [_line(cells, widths) for cells in table]
        rule = "-" * max(map(len, lines))
        below = f"{self.size:,} bytes of parameters, {self.state:,} numbers of state"
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], below])


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    aligned = [
        cell.ljust(width) if place < 3 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def summary(
    model: Model, x: Any, *, train: bool = False, rngs: tuple[str, ...] = ("dropout",)
) -> Summary:
    r"""Summarize the layers of a model: their outputs, parameters and operations.

    Nothing is computed or compiled: the model is traced with shapes alone. The operations are the
    multiply-adds $\sum_k a_{ik} b_{kj}$ of the matrix products and convolutions in the trace
    (each is two FLOPs), for all examples of `x`. Products with the padding of a convolution are
    counted; elementwise operations are not. A condition counts as its most expensive branch, and
    a loop of unknown length as one iteration.

    Args:
      model: a Linen module, a pair of functions, or a `Functional`. The layers of the last
        two are not known: each group of parameters gets a row, and only the total of the
        operations is given.
      x: inputs, or `jax.ShapeDtypeStruct`s of their shapes.
      train: whether the model is in training mode.
      rngs: names of the streams from which a Linen module draws in training.

    Returns:
      The summary.

    >>> from jaxnn.nn import MLP
    >>> print(summary(MLP((100, 10), dropout_rate=0.5), jnp.ones((32, 64))))
    path       type     output     parameters  multiply-adds
    --------------------------------------------------------
    Dense_0    Dense    (32, 100)       6,500        204,800
    Dropout_0  Dropout  (32, 100)           0              0
    Dense_1    Dense    (32, 10)        1,010         32,000
    --------------------------------------------------------
    total                               7,510        236,800
    30,040 bytes of parameters, 0 numbers of state
    """
    check_flag("train", train)
    functional = as_functional(model, rngs=rngs)
    x = jax.tree.map(
        shape_of_inputs, x, is_leaf=lambda leaf: leaf is None or isinstance(leaf, list)
    )
    if not jax.tree.leaves(x):
        raise ValueError(f"x must hold at least one array, got {x!r}")
    key = jax.eval_shape(lambda: jax.random.key(0))
    params, model_state = jax.eval_shape(functional.init, key, x)

    def call(params: Any, model_state: Any, key: jax.Array, x: Any) -> Any:
        keys = Keys(key, jnp.int32(0))
        return functional.apply(params, model_state, x, train=train, keys=keys, weight=None)

    called: dict[str, tuple[str, Any]] = {}
    with nn.intercept_methods(_noting(called)):
        traced = jax.make_jaxpr(call)(params, model_state, key, x)
    counts = _operations(traced.jaxpr, "")
    sizes = {
        path_name(path): math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    return Summary(
        rows=tuple(_layers(called, sizes, counts) if called else _groups(sizes)),
        parameters=sum(sizes.values()),
        state=sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(model_state)),
        operations=counts.total(),
        size=sum(math.prod(p.shape) * p.dtype.itemsize for p in jax.tree.leaves(params)),
    )


def _noting(called: dict[str, tuple[str, Any]]) -> Callable[..., Any]:
    """Make an interceptor that records every module and writes its path into the trace."""

    def note(method: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "setup":
            return method(*args, **kwargs)
        path, kind = "/".join(context.module.path), type(context.module).__name__
        called.setdefault(path, (kind, None))
        with jax.named_scope(f"module<{path}>"):
            outputs = method(*args, **kwargs)
        if context.method_name == "__call__":
            shapes = jax.tree.map(lambda leaf: getattr(leaf, "shape", ()), outputs)
            called[path] = (kind, shapes)
        return outputs

    return note


def _layers(
    called: dict[str, tuple[str, Any]], sizes: dict[str, int], counts: Counter[str]
) -> Iterator[Layer]:
    parameters = _owned(sizes, called)
    operations = _owned(counts, called)
    for path, (kind, shapes) in called.items():
        within = f"{path}/" if path else ""
        holds_others = any(other != path and other.startswith(within) for other in called)
        if parameters[path] or operations[path] or not holds_others:
            yield Layer(path, kind, shapes, parameters[path], operations[path])


def _owned(amounts: dict[str, int] | Counter[str], owners: Iterable[str]) -> Counter[str]:
    """Sum amounts by path, each for the innermost owner that contains it."""
    sums: Counter[str] = Counter()
    for path, amount in amounts.items():
        holding = [o for o in owners if o in ("", path) or path.startswith(f"{o}/")]
        sums[max(holding, key=len)] += amount
    return sums


def _groups(sizes: dict[str, int]) -> Iterator[Layer]:
    sums: Counter[str] = Counter()
    for path, amount in sizes.items():
        sums[path.rpartition("/")[0]] += amount
    return (Layer(path, "", None, amount, None) for path, amount in sums.items())


def _operations(jaxpr: Any, scope: str) -> Counter[str]:
    """Count multiply-adds by the path of the module in which they are traced."""
    counts: Counter[str] = Counter()
    for eqn in jaxpr.eqns:
        below = f"{scope}/{eqn.source_info.name_stack}"
        own = _multiply_adds(eqn)
        if own:
            counts[["", *re.findall("module<(.*?)>", below)][-1]] += own
        inner = [_operations(part, below) for part in _parts(eqn)]
        if eqn.primitive.name == "cond":
            inner = [max(inner, key=Counter.total)]
        turns = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        for part in inner:
            counts.update({path: turns * amount for path, amount in part.items()})
    return counts


def _parts(eqn: Any) -> Iterator[Any]:
    for value in eqn.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            jaxpr = getattr(item, "jaxpr", item)
            if hasattr(jaxpr, "eqns"):
                yield jaxpr


def _multiply_adds(eqn: Any) -> int:
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        shape = eqn.invars[0].aval.shape
        terms = math.prod(shape[axis] for axis in contracted)
    elif eqn.primitive.name == "conv_general_dilated":
        kernel = list(eqn.invars[1].aval.shape)
        del kernel[eqn.params["dimension_numbers"].rhs_spec[0]]  # what one output sums over
        terms = math.prod(kernel)
    elif eqn.primitive.name == "jaxnn_conv":  # of jaxnn.nn.layers.convolution.primitive
        terms = math.prod(eqn.invars[1].aval.shape[-4:-1])
    elif eqn.primitive.name == "jaxnn_conv_of_inputs":  # every input times the kernel
        terms = math.prod(eqn.invars[1].aval.shape[-4:-1])
        return terms * math.prod(eqn.invars[0].aval.shape)
    elif eqn.params.get("name") == "depthwise":  # of jaxnn.nn.layers.convolution.grouped
        terms = math.prod(eqn.invars[1].aval.shape[:-2])
    else:
        return 0
    return terms * math.prod(eqn.outvars[0].aval.shape)
