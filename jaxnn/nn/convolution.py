r"""The convolution that trains fast on CPU inside a compiled loop, and under `vmap`.

A convolution and its two gradients are three bilinear maps between inputs x, kernel w and
outputs y, and each is the transpose of the others:

$$y = x * w, \qquad \bar x = \bar y \star w, \qquad \bar w = x \star \bar y$$

Each is a JAX primitive here, so that the way it is computed is chosen in one place:

* On CPU XLA has a fast routine for convolutions whose axes stand in the usual order (NHWC,
  HWIO), and in the body of a loop no other. The gradients that JAX derives have theirs
  permuted, and run some hundred times slower there. Written in the usual order they are fast.
* On other platforms the backend's own convolution and gradients are used.
* Under `vmap` over kernels, as in a population of networks, a convolution would become one
  with as many groups as members, which no backend does well. As a product of patches and
  kernel it becomes a batched matrix product.

Differentiation of any order and mode, `vmap` and `jit` follow from the rules at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["Geometry", "convolve", "convolve_by_patches"]


class Geometry(NamedTuple):
    """Where the windows lie: per spatial axis, and hashable."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]  # zeros before and behind
    dilation: tuple[int, int]  # distance of neighbouring kernel entries
    inputs: tuple[int, int]  # spatial shape of x
    kernel: tuple[int, int]  # spatial shape of w

    @property
    def reach(self) -> tuple[int, int]:
        """Spatial extent of the kernel with its holes."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    @property
    def outputs(self) -> tuple[int, int]:
        """Spatial shape of y."""
        rows, columns = (
            (size + sum(pad) - reach) // stride + 1
            for size, pad, reach, stride in zip(
                self.inputs, self.padding, self.reach, self.strides, strict=True
            )
        )
        return rows, columns


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate x, (n, h, w, in), with the kernel w, (kh, kw, in, out), of one dtype."""
    return _conv.bind(x, w, geometry=geometry)


def convolve_by_patches(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The same as a matrix product: the entries under each window, times the kernel."""
    (rows, columns), (down, right) = geometry.outputs, geometry.strides
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    windows = [
        x[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
        for i in range(0, geometry.reach[0], geometry.dilation[0])
        for j in range(0, geometry.reach[1], geometry.dilation[1])
    ]
    patches = jnp.concatenate(windows, axis=-1)  # in the order of the kernel's first three axes
    return jnp.einsum("nhwk,ko->nhwo", patches, w.reshape(-1, w.shape[-1]))


def _lax(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


# The three maps, each by whatever way the convolution itself is computed: `conv` is one of the
# two functions above, and its transposes are JAX's.


def _outputs(conv: Callable, x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    return conv(x, w, geometry)


def _of_inputs(conv: Callable, y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.inputs, w.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: conv(x, w, geometry), x)(y)[0]


def _of_kernel(conv: Callable, x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    w = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: conv(x, w, geometry), w)(y)[0]


def _of_inputs_on_cpu(y: jax.Array, w: jax.Array, *, geometry: Geometry) -> jax.Array:
    if geometry.strides != (1, 1):
        return _of_inputs(convolve_by_patches, y, w, geometry)
    flipped = jnp.flip(w, (0, 1)).swapaxes(2, 3)
    padding = tuple(
        (reach - 1 - before, size + before - produced)
        for reach, (before, _), size, produced in zip(
            geometry.reach, geometry.padding, geometry.inputs, geometry.outputs, strict=True
        )
    )
    return _lax(y, flipped, geometry._replace(padding=padding))


def _of_kernel_on_cpu(x: jax.Array, y: jax.Array, *, geometry: Geometry) -> jax.Array:
    if geometry.strides != (1, 1):
        return _of_kernel(convolve_by_patches, x, y, geometry)
    # The channels of x are the examples of this one, and the examples its channels.
    images, kernel = x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3)
    turned = geometry._replace(strides=geometry.dilation, dilation=(1, 1))
    gradient = _lax(images, kernel, turned)[:, : geometry.kernel[0], : geometry.kernel[1]]
    return gradient.transpose(1, 2, 0, 3)


def _primitive(name: str, of: Callable, on_cpu: Callable | None) -> Primitive:
    """A bilinear map with its lowering, and its rule under `vmap`."""
    primitive = Primitive(f"jaxnn_{name}")
    by_backend, by_patches = partial(of, _lax), partial(of, convolve_by_patches)

    def shape(a: ShapedArray, b: ShapedArray, *, geometry: Geometry) -> ShapedArray:
        out = jax.eval_shape(partial(by_backend, geometry=geometry), a, b)
        return ShapedArray(out.shape, out.dtype)

    def batched(args: tuple, axes: tuple, *, geometry: Geometry) -> tuple[jax.Array, int]:
        (a, b), (of_a, of_b) = args, axes
        if of_b is None and of is not _of_kernel:  # one kernel for all: a larger batch
            a = jnp.moveaxis(a, of_a, 0)
            out = primitive.bind(a.reshape(-1, *a.shape[2:]), b, geometry=geometry)
            return out.reshape(*a.shape[:2], *out.shape[1:]), 0
        return jax.vmap(partial(by_patches, geometry=geometry), axes)(a, b), 0

    primitive.def_abstract_eval(shape)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="geometry"))
    mlir.register_lowering(primitive, mlir.lower_fun(by_backend, multiple_results=False))
    if on_cpu is not None:
        lowering = mlir.lower_fun(on_cpu, multiple_results=False)
        mlir.register_lowering(primitive, lowering, platform="cpu")
    batching.primitive_batchers[primitive] = batched
    return primitive


_conv = _primitive("conv", _outputs, None)
_conv_of_inputs = _primitive("conv_of_inputs", _of_inputs, _of_inputs_on_cpu)
_conv_of_kernel = _primitive("conv_of_kernel", _of_kernel, _of_kernel_on_cpu)

# Bilinear maps: from the cotangent of the result and the other operand, that of each operand.
ad.defbilinear(
    _conv,
    lambda ct, x, w, **geometry: _conv_of_inputs.bind(ct, w, **geometry),
    lambda ct, x, w, **geometry: _conv_of_kernel.bind(x, ct, **geometry),
)
ad.defbilinear(
    _conv_of_inputs,
    lambda ct, y, w, **geometry: _conv.bind(ct, w, **geometry),
    lambda ct, y, w, **geometry: _conv_of_kernel.bind(ct, y, **geometry),
)
ad.defbilinear(
    _conv_of_kernel,
    lambda ct, x, y, **geometry: _conv_of_inputs.bind(y, ct, **geometry),
    lambda ct, x, y, **geometry: _conv.bind(x, ct, **geometry),
)
