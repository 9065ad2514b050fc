"""A convolution and its two gradients in the forms that XLA computes fast on CPU.

On CPU, XLA has a fast routine for convolutions whose axes are in the usual order (NHWC, HWIO); in
the body of a loop it has no other fast routine. The gradients that JAX derives have permuted axes
and run about a hundred times slower. In the usual order they are fast.

Around jaxlib 0.10, XLA hands most of these convolutions to another library, YNNPACK, where they
take up to twice as long. YNNPACK does not accept a convolution whose outputs, or whose kernel,
have more rows than its inputs. So adding rows of zeros until that holds makes it faster. Measured
with jaxlib 0.10 on two idle cores, the benchmark's row "CNN 28×28" takes 1.4 times as long without
the added rows; ResNet-20 does not gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import jaxlib.version

from jaxnn.nn.layers.convolution.geometry import Geometry

__all__ = [
    "by_backend",
    "by_patches",
    "of_inputs",
    "of_kernel",
    "outputs",
    "transposed",
    "without_loops",
]

# In jaxlib 0.7.2 and 0.12 both ways take the same time.
_EVADES = (0, 8) <= jaxlib.version.__version_info__ < (0, 12)
_FEW = 16  # YNNPACK does not take convolutions with at most this many channels

_loops = ContextVar("convolution.on_cpu._loops", default=True)


@contextmanager
def without_loops() -> Iterator[None]:
    """Lower convolutions without a loop over the batch, for XLA's analysis of costs.

    The analysis counts the body of a loop once, however often it runs.
    """
    token = _loops.set(False)
    try:
        yield
    finally:
        _loops.reset(token)


def by_backend(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate by JAX's own convolution."""
    return jax.lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def by_patches(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate by a matrix product: the entries of each window times the kernel."""
    (rows, columns), (down, right) = geometry.outputs, geometry.strides
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    windows = [
        x[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
        for i in range(0, geometry.reach[0], geometry.dilation[0])
        for j in range(0, geometry.reach[1], geometry.dilation[1])
    ]
    patches = jnp.concatenate(windows, axis=-1)  # in the order of the kernel's first three axes
    return jnp.einsum("nhwk,ko->nhwo", patches, w.reshape(-1, w.shape[-1]))


def transposed(way: Callable, operand: str) -> Callable:
    """Return the gradient that JAX derives from a way to compute the convolution.

    Args:
      way: `by_backend` or `by_patches`.
      operand: "inputs", for `(y, w, geometry) -> x`, or "kernel", for `(x, y, geometry) -> w`.
    """

    def of_x(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
        x = jax.ShapeDtypeStruct((y.shape[0], *geometry.inputs, w.shape[2]), y.dtype)
        return jax.linear_transpose(lambda x: way(x, w, geometry), x)(y)[0]

    def of_w(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
        w = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
        return jax.linear_transpose(lambda w: way(x, w, geometry), w)(y)[0]

    return {"inputs": of_x, "kernel": of_w}[operand]


def outputs(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute y = x * w."""
    rows, more = geometry.outputs[0], _more_rows(geometry.inputs[0], geometry.outputs[0])
    if geometry.strides != (1, 1) or not more or max(x.shape[-1], w.shape[-1]) <= _FEW:
        return by_backend(x, w, geometry)
    (before, behind), columns = geometry.padding
    wider = geometry._replace(padding=((before, behind + more), columns))
    return by_backend(x, w, wider)[:, :rows]


def of_inputs(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute x̄ from the cotangent ȳ, given as y: a convolution with the flipped kernel."""
    if geometry.strides != (1, 1):
        return transposed(by_patches, "inputs")(y, w, geometry)
    flipped = jnp.flip(w, (0, 1)).swapaxes(2, 3)
    padding = tuple(
        (reach - 1 - before, size + before - produced)
        for reach, (before, _), size, produced in zip(
            geometry.reach, geometry.padding, geometry.inputs, geometry.outputs, strict=True
        )
    )
    return outputs(y, flipped, geometry._replace(inputs=geometry.outputs, padding=padding))


def of_kernel(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """Compute w̄ from the cotangent ȳ, given as y: x convolved with ȳ.

    Examples and channels swap their roles. A loop takes one half of the examples after the other,
    because XLA computes the operands of a loop before it. Without the loop, XLA would fuse the
    computation of x and ȳ into the transposition of their axes, and so compute them again, entry
    by entry in an unfavourable order. In the benchmark, the row CNN takes 1.18 times as long
    without the loop with jaxlib 0.12, and ResNet-20 takes 1.08 times with jaxlib 0.10.
    """
    if geometry.strides != (1, 1):
        return transposed(by_patches, "kernel")(x, y, geometry)
    examples, turns = x.shape[0], 2
    if examples % turns or not _loops.get():
        return _of_kernel(x, y, geometry)

    def add(turn: int, total: jax.Array) -> jax.Array:
        rows = examples // turns
        x_part, y_part = (jax.lax.dynamic_slice_in_dim(a, turn * rows, rows) for a in (x, y))
        return total + _of_kernel(x_part, y_part, geometry)

    zero = jnp.zeros((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.lax.fori_loop(0, turns, add, zero)


def _of_kernel(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    images, kernel = x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3)
    (height, width), (rows, columns) = geometry.inputs, geometry.outputs
    padding, more = geometry.padding, _more_rows(height, rows)
    if more and max(images.shape[-1], kernel.shape[-1]) > _FEW:
        # XLA would swap a kernel with an image of fewer entries, so the image gets as many columns.
        # The barrier keeps XLA from removing the zeros again.
        (top, bottom), (left, right) = padding
        right = max(right, -(-(rows + more) * columns // height) - width - left)
        kernel = jnp.pad(kernel, ((0, more), *[(0, 0)] * 3))
        images = jnp.pad(images, ((0, 0), (0, 0), (left, right), (0, 0)))
        images, kernel = jax.lax.optimization_barrier((images, kernel))
        padding = ((top, bottom + more), (0, 0))
    turned = geometry._replace(strides=geometry.dilation, padding=padding, dilation=(1, 1))
    gradient = by_backend(images, kernel, turned)[:, : geometry.kernel[0], : geometry.kernel[1]]
    return gradient.transpose(1, 2, 0, 3)


def _more_rows(inputs: int, produced: int) -> int:
    """Count the rows of zeros that make more rows than inputs; 0 where they would cost too much."""
    more = inputs - produced + 1
    return more if _EVADES and 0 < more <= produced // 4 else 0
