"""Convolutions whose channels are divided into groups, each with features of its own."""

from __future__ import annotations

from functools import partial, reduce
from itertools import product

import jax
import jax.numpy as jnp

from jaxnn.nn.layers.convolution.axes import windows
from jaxnn.nn.layers.convolution.geometry import Geometry

__all__ = ["cross_correlate_groups"]


def cross_correlate_groups(
    x: jax.Array, w: jax.Array, geometry: Geometry, groups: int
) -> jax.Array:
    """Cross-correlate each group of channels with its own kernels.

    Args:
      x: (n, …, channels).
      w: (…, channels / groups, features): the features of the first group come first.
      geometry: of the convolution.
      groups: number of groups.
    """
    if groups == x.shape[-1] and jax.default_backend() == "cpu":
        return depthwise(x, w, geometry)
    letters = "DHW"[-len(geometry.inputs) :]
    return jax.lax.conv_general_dilated(
        x,
        w,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=groups,
    )


@partial(jax.jit, static_argnames="geometry")
def depthwise(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Cross-correlate every channel with its own kernels, as a sum of shifted inputs.

    XLA's own routine for CPUs is slow where a convolution has many groups, and slower still in
    its gradients. Here both are elementwise operations.
    """
    channels, multiplier = x.shape[-1], w.shape[-1] // x.shape[-1]
    shifted = [jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))]
    for axis in range(len(geometry.inputs)):
        shifted = [part for whole in shifted for part in windows(whole, geometry, axis)]
    places = product(*map(range, geometry.kernel))
    terms = [
        part[..., None] * w[place].reshape(*[1] * (x.ndim - 1), channels, multiplier)
        for place, part in zip(places, shifted, strict=True)
    ]
    y = reduce(jnp.add, terms)
    return y.reshape(*y.shape[:-2], w.shape[-1])
