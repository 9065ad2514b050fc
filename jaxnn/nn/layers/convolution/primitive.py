r"""A convolution that trains fast on CPU inside a compiled loop, and under `vmap`.

A convolution and its two gradients are three bilinear maps between inputs x, kernel w and
outputs y. Each is the transpose of the other two:

$$y = x * w, \qquad \bar x = \bar y \star w, \qquad \bar w = x \star \bar y$$

Here each is a JAX primitive, so the way to compute it is chosen in one place:

* On CPU, the forms of `jaxnn.nn.layers.convolution.on_cpu`; its docstring explains them.
* On other platforms, the backend's own convolution and its gradients.
* Under `vmap` over kernels, as in a population of networks, JAX would make one convolution with
  as many groups as members, which is slow on every backend. On CPU the members are computed one
  after another, each with all cores. Elsewhere, patches times kernels is one batched matrix
  product.

Differentiation of any order and mode, `vmap` and `jit` follow from the rules at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxnn.nn.layers.convolution import on_cpu
from jaxnn.nn.layers.convolution.geometry import Geometry
from jaxnn.nn.layers.convolution.on_cpu import by_backend, by_patches, transposed

__all__ = ["convolve"]

# Up to this many members the loop is unrolled, since a loop first fills its result with zeros.
_WRITTEN_OUT = 8


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate x, (n, h, w, in), with the kernel w, (kh, kw, in, out), of one dtype."""
    return _conv.bind(x, w, geometry=geometry)


def _primitive(
    name: str, backend: Callable, patches: Callable, cpu: Callable, shares: int | None
) -> Primitive:
    """Make a primitive of a bilinear map of two arrays.

    The arrays have rank 4, or rank 5 with the axis of members first.

    Args:
      name: name of the map.
      backend, patches, cpu: ways to compute it, `(a, b, geometry) -> array`.
      shares: position of the operand that all examples share, or None.
    """
    primitive = Primitive(f"jaxnn_{name}")

    def shape(a: ShapedArray, b: ShapedArray, *, geometry: Geometry) -> ShapedArray:
        out = jax.eval_shape(partial(by_members, backend, geometry=geometry), a, b)
        return ShapedArray(out.shape, out.dtype)

    def by_members(way: Callable, a: jax.Array, b: jax.Array, *, geometry: Geometry) -> jax.Array:
        axes = tuple(_member_axis(operand) for operand in (a, b))
        one = partial(way, geometry=geometry)
        return one(a, b) if axes == (None, None) else jax.vmap(one, axes)(a, b)

    def in_turn(a: jax.Array, b: jax.Array, *, geometry: Geometry) -> jax.Array:
        has = [_member_axis(operand) == 0 for operand in (a, b)]
        if not any(has):
            return cpu(a, b, geometry)

        def one(member: Any) -> jax.Array:
            a_one, b_one = (x[member] if of else x for x, of in zip((a, b), has, strict=True))
            return cpu(a_one, b_one, geometry)

        members = (a if has[0] else b).shape[0]
        if members <= _WRITTEN_OUT:
            return jnp.stack([one(member) for member in range(members)])
        return jax.lax.map(one, jnp.arange(members))

    def elsewhere(a: jax.Array, b: jax.Array, *, geometry: Geometry) -> jax.Array:
        way = backend if a.ndim == b.ndim == 4 else patches
        return by_members(way, a, b, geometry=geometry)

    def batched(operands: tuple, axes: tuple, *, geometry: Geometry) -> tuple[jax.Array, int]:
        operands = tuple(
            x if axis is None else jnp.moveaxis(x, axis, 0)
            for x, axis in zip(operands, axes, strict=True)
        )
        if shares is not None and axes[shares] is None and operands[shares].ndim == 4:
            # All members share one kernel: the members are merged into the examples.
            merged = tuple(x if i == shares else _merge(x) for i, x in enumerate(operands))
            out = primitive.bind(*merged, geometry=geometry)
            return _part(out, operands[1 - shares].shape[:2]), 0
        had = [
            _member_axis(x, mapped=axis is not None) for x, axis in zip(operands, axes, strict=True)
        ]
        if had == [None, None]:
            return primitive.bind(*operands, geometry=geometry), 0
        # Nested vmap: both axes of members are merged into one.
        new, old = _sizes(operands, axes, had)
        merged = tuple(
            x if axis is None and within is None else _merge(_with_axes(x, axis, within, new, old))
            for x, axis, within in zip(operands, axes, had, strict=True)
        )
        return _part(primitive.bind(*merged, geometry=geometry), (new, old)), 0

    primitive.def_abstract_eval(shape)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=False))
    lowering = mlir.lower_fun(in_turn, multiple_results=False)
    mlir.register_lowering(primitive, lowering, platform="cpu")
    batching.primitive_batchers[primitive] = batched
    return primitive


def _member_axis(x: jax.Array | ShapedArray, mapped: bool = False) -> int | None:
    """Return 0 where an operand has an axis of members besides the axis being mapped, else None."""
    return 0 if x.ndim - mapped == 5 else None


def _sizes(operands: tuple, axes: tuple, had: list) -> tuple[int, int]:
    """Return the sizes of the axis being mapped and of the existing axis of members."""
    new = next(x.shape[0] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    old = next(
        x.shape[0 if axis is None else 1]
        for x, axis, within in zip(operands, axes, had, strict=True)
        if within is not None
    )
    return new, old


def _with_axes(x: jax.Array, axis: int | None, within: int | None, new: int, old: int) -> jax.Array:
    x = x[None] if axis is None else x
    x = x[:, None] if within is None else x
    return jnp.broadcast_to(x, (new, old, *x.shape[2:]))


def _merge(x: jax.Array) -> jax.Array:
    return x.reshape(-1, *x.shape[2:])


def _part(x: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    return x.reshape(*sizes, *x.shape[1:])


_conv = _primitive("conv", by_backend, by_patches, on_cpu.outputs, shares=1)
_conv_of_inputs = _primitive(
    "conv_of_inputs",
    transposed(by_backend, "inputs"),
    transposed(by_patches, "inputs"),
    on_cpu.of_inputs,
    shares=1,
)
_conv_of_kernel = _primitive(
    "conv_of_kernel",
    transposed(by_backend, "kernel"),
    transposed(by_patches, "kernel"),
    on_cpu.of_kernel,
    shares=None,
)


def _summed(gradient: jax.Array, of: Any) -> jax.Array:
    """Sum the gradient over the members where they share the operand."""
    return gradient.sum(0) if gradient.ndim > of.aval.ndim else gradient


# The cotangent of each operand follows from that of the result and the other operand.
ad.defbilinear(
    _conv,
    lambda ct, x, w, **geometry: _summed(_conv_of_inputs.bind(ct, w, **geometry), x),
    lambda ct, x, w, **geometry: _summed(_conv_of_kernel.bind(x, ct, **geometry), w),
)
ad.defbilinear(
    _conv_of_inputs,
    lambda ct, y, w, **geometry: _summed(_conv.bind(ct, w, **geometry), y),
    lambda ct, y, w, **geometry: _summed(_conv_of_kernel.bind(ct, y, **geometry), w),
)
ad.defbilinear(
    _conv_of_kernel,
    lambda ct, x, y, **geometry: _summed(_conv_of_inputs.bind(y, ct, **geometry), x),
    lambda ct, x, y, **geometry: _summed(_conv.bind(x, ct, **geometry), y),
)
