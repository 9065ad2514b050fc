"""Convolutions of one and three spatial axes, by the one of two axes, and their transposes.

A sequence is an image of one column. A volume is a stack of images: the kernel's depth becomes
channels, so that one convolution of images sees all slices of the depth that it needs. So each of
them is as fast on CPU as the convolution of images.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.nn.layers.convolution.geometry import Geometry
from jaxnn.nn.layers.convolution.primitive import convolve

__all__ = ["cross_correlate", "spread", "windows"]


def cross_correlate(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate x, (n, …, in), with the kernel w, (…, in, out), over one to three axes."""
    return {1: _sequences, 2: convolve, 3: _volumes}[len(geometry.inputs)](x, w, geometry)


def spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Apply the transpose of `cross_correlate` with respect to x: spread y over the windows.

    Args:
      y: of the shape that `cross_correlate` returns, (n, …, out).
      w: the kernel of `cross_correlate`, (…, in, out).
      geometry: that of `cross_correlate`.

    Returns:
      (n, …, in), of the geometry's spatial shape of inputs.
    """
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.inputs, w.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: cross_correlate(x, w, geometry), x)(y)[0]


def windows(x: jax.Array, geometry: Geometry, axis: int) -> list[jax.Array]:
    """List the padded inputs' entries along one axis by their place in the window.

    Args:
      x: inputs, already padded along the axis.
      geometry: of the convolution.
      axis: number of the spatial axis, from 0.
    """
    stride, step = geometry.strides[axis], geometry.dilation[axis]
    last = (geometry.outputs[axis] - 1) * stride + 1
    return [
        jax.lax.slice_in_dim(x, place, place + last, stride, axis + 1)
        for place in range(0, geometry.reach[axis], step)
    ]


def _sequences(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    image = Geometry(
        (*geometry.strides, 1),
        (*geometry.padding, (0, 0)),
        (*geometry.dilation, 1),
        (*geometry.inputs, 1),
        (*geometry.kernel, 1),
    )
    return convolve(x[:, :, None], w[:, None], image)[:, :, 0]


def _volumes(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    image = Geometry(
        geometry.strides[1:],
        geometry.padding[1:],
        geometry.dilation[1:],
        geometry.inputs[1:],
        geometry.kernel[1:],
    )
    x = jnp.pad(x, ((0, 0), geometry.padding[0], *[(0, 0)] * 3))
    slices = jnp.concatenate(windows(x, geometry, 0), -1)  # channels in the order of w below
    n, depth = slices.shape[:2]
    kernel = jnp.moveaxis(w, 0, 2).reshape(*w.shape[1:3], -1, w.shape[-1])
    y = convolve(slices.reshape(n * depth, *slices.shape[2:]), kernel, image)
    return y.reshape(n, depth, *y.shape[1:])
