"""Convolution over one to three spatial axes, as a pure function."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_choice, check_positive_int
from jaxnn.nn.checks import numbers
from jaxnn.nn.layers.convolution.axes import cross_correlate
from jaxnn.nn.layers.convolution.geometry import Geometry
from jaxnn.nn.layers.convolution.grouped import cross_correlate_groups
from jaxnn.nn.layers.windows import Padding, Window, explicit_pairs, padding_pairs, steps_of

__all__ = ["check_kernel", "check_padding", "conv"]

_MODES = {"CIRCULAR": "wrap", "REFLECT": "reflect"}
PADDINGS = ("SAME", "VALID", "CIRCULAR", "REFLECT", "CAUSAL")


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Window = 1,
    padding: Padding = "SAME",
    kernel_dilation: Window = 1,
    feature_group_count: int = 1,
) -> jax.Array:
    r"""Cross-correlate sequences, images or volumes with a kernel.

    For images, and likewise for one or three spatial axes:

    $$y_{n,i,j,o} = \sum_{a,b,c} x_{n,\; s i + d a - p,\; s j + d b - p,\; c}\; w_{a,b,c,o}$$

    The kernel's number of axes decides the number of spatial axes. The results equal those of
    `jax.lax.conv_general_dilated` up to the order of summation. It is faster than that on CPU
    inside a compiled loop, and under `vmap` over kernels; the docstring of
    `jaxnn.nn.layers.convolution.primitive` explains why.

    Args:
      x: sequences (n, time, channels), images (n, h, w, channels) or volumes
        (n, d, h, w, channels).
      kernel: (…, channels / feature_group_count, features) with one to three spatial axes in
        front, in the dtype of `x`.
      strides: step of the window, one number for all spatial axes or one for each.
      padding: what lies beyond the border. "SAME": zeros, so that the outputs have the size of
        the inputs divided by the strides, rounded up. "VALID": nothing; the window stays inside.
        "CIRCULAR": the inputs again, as if they were periodic. "REFLECT": the inputs mirrored at
        their last entry. "CAUSAL", for sequences: zeros before the first entry alone, so that no
        output sees a later input. A number: so many zeros on all sides. Or for each spatial axis
        a number of zeros or a pair of them (before, behind).
      kernel_dilation: distance between neighbouring kernel entries, one number or one for each
        axis.
      feature_group_count: number of groups into which channels and features are divided. As many
        groups as channels make a depthwise convolution. Between 1 and that, the backend's own
        convolution is used.

    Returns:
      (n, …, features).

    Raises:
      ValueError: if shapes, strides or padding do not fit.

    >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> conv(x, jnp.ones((3, 3, 1, 1)), padding="VALID")[0, ..., 0]
    Array([[45., 54.],
           [81., 90.]], dtype=float32)
    >>> conv(jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1)), padding="CAUSAL")[0, :, 0]
    Array([0., 1., 3., 5.], dtype=float32)

    Source: lecture S. Other libraries define it in the same way and call it convolution.
    """
    groups = check_positive_int("feature_group_count", feature_group_count)
    x, kernel = numbers("x", x), numbers("kernel", kernel)
    check_kernel(x, kernel, groups)
    window, axes = kernel.shape[:-2], kernel.ndim - 2
    steps = steps_of("strides", strides, axes)
    dilation = steps_of("kernel_dilation", kernel_dilation, axes)
    reach = tuple((size - 1) * step + 1 for size, step in zip(window, dilation, strict=True))
    x, pairs = _padded(x, padding, reach, steps)
    geometry = Geometry(steps, pairs, dilation, x.shape[1:-1], window)
    if groups > 1:
        return cross_correlate_groups(x, kernel, geometry, groups)
    return cross_correlate(x, kernel, geometry)


def _padded(
    x: jax.Array, padding: Padding, reach: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[jax.Array, tuple[tuple[int, int], ...]]:
    """Pad with entries of x where that is asked for; return x and the zeros still to be added."""
    check_padding(padding, len(reach))
    if padding == "CAUSAL":
        padding = [(reach[0] - 1, 0)]
    elif isinstance(padding, str) and padding in _MODES:
        # An even window reaches one entry further behind than before.
        pairs = [((extent - 1) // 2, extent // 2) for extent in reach]
        x, padding = jnp.pad(x, ((0, 0), *pairs, (0, 0)), mode=_MODES[padding]), "VALID"
    return x, padding_pairs(padding, x.shape[1:-1], reach, steps)


def check_padding(padding: Padding, axes: int, names: tuple[str, ...] = PADDINGS) -> None:
    """Refuse a padding of no known form.

    >>> check_padding("SAME", axes=2)
    """
    if not isinstance(padding, str):
        explicit_pairs(padding, axes)
        return
    check_choice("padding", padding, names)
    if padding == "CAUSAL" and axes != 1:
        raise ValueError(f'padding "CAUSAL" is for one spatial axis, got a window of {axes} axes')


def check_kernel(x: jax.Array, kernel: jax.Array, groups: int = 1) -> None:
    """Refuse a kernel (…, channels / groups, features) that does not fit to the inputs."""
    if kernel.ndim not in (3, 4, 5) or x.ndim != kernel.ndim:
        raise ValueError(
            "kernel must have one to three spatial axes and then (channels, features), and x the "
            f"axes (n, as many spatial axes, channels), got shapes {kernel.shape} and {x.shape}"
        )
    if x.shape[-1] != kernel.shape[-2] * groups or kernel.shape[-1] % groups:
        raise ValueError(
            f"kernel must have {x.shape[-1]} channels over {groups} groups on its last axis but "
            "one, and a number of features that the groups (feature_group_count) divide, got "
            f"shape {kernel.shape}"
        )
    if x.dtype != kernel.dtype:
        raise ValueError(f"kernel must have the dtype of x, {x.dtype}, got {kernel.dtype}")
