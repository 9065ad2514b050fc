"""Transposed convolution, as a pure function and as a Linen module."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.initializers.basic import Initializer, zeros
from jaxnn.nn.layers.convolution.axes import spread
from jaxnn.nn.layers.convolution.conv import check_kernel, check_padding
from jaxnn.nn.layers.convolution.geometry import Geometry
from jaxnn.nn.layers.convolution.module import check_layer, convolved
from jaxnn.nn.layers.windows import (
    Padding,
    Window,
    check_spatial,
    explicit_pairs,
    steps_of,
)

__all__ = ["ConvTranspose", "conv_transpose"]

_PADDINGS = ("SAME", "VALID", "CIRCULAR")


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Window = 1,
    padding: Padding = "SAME",
    kernel_dilation: Window = 1,
    transpose_kernel: bool = False,
) -> jax.Array:
    r"""Enlarge sequences, images or volumes: a convolution of inputs that stand strides apart.

    $$y_{n,i,o} = \sum_{j,a:\; s j \,=\, i + d a - p}\; \sum_c x_{n,j,c}\; w_{a,c,o}$$

    Between neighbouring inputs stand s − 1 zeros, around them p, and the result is convolved with
    stride 1. It is the transpose (the gradient) of a convolution with stride s whose kernel is
    turned around, and it is computed as that, without the zeros. The results equal those of
    `jax.lax.conv_transpose` up to the order of summation.

    Args:
      x: sequences (n, time, channels), images (n, h, w, channels) or volumes
        (n, d, h, w, channels).
      kernel: (…, channels, features) with as many spatial axes in front, in the dtype of `x`.
      strides: distance of neighbouring inputs in the outputs, one number for all spatial axes or
        one for each.
      padding: "SAME": the outputs have the size of the inputs times the strides. "VALID": every
        input spreads over a whole window. "CIRCULAR": the size of "SAME", and what would lie
        beyond the border comes in again on the other side. A number, or for each spatial axis a
        number or a pair (before, behind): so many zeros around the spread inputs, as in Flax.
        PyTorch's padding q is p = d (k − 1) − q.
      kernel_dilation: distance between neighbouring kernel entries, one number or one for each
        axis.
      transpose_kernel: whether the kernel is (…, features, channels) and turned around, so that
        with the kernel of `conv` this is its transpose.

    Returns:
      (n, …, features).

    Raises:
      ValueError: if shapes, strides or padding do not fit.

    >>> conv_transpose(jnp.ones((1, 3, 1)), jnp.ones((2, 1, 1)), strides=2)[0, :, 0]
    Array([1., 1., 1., 1., 1., 1.], dtype=float32)

    Source: Zeiler et al. 2010; Dumoulin and Visin 2016.
    """
    check_flag("transpose_kernel", transpose_kernel)
    x, kernel = numbers("x", x), numbers("kernel", kernel)
    turned = kernel.swapaxes(-1, -2) if kernel.ndim > 2 else kernel
    check_kernel(x, turned if transpose_kernel else kernel)
    window, axes = kernel.shape[:-2], kernel.ndim - 2
    forward = kernel if transpose_kernel else jnp.flip(turned, tuple(range(axes)))
    steps = steps_of("strides", strides, axes)
    dilation = steps_of("kernel_dilation", kernel_dilation, axes)
    reach = tuple((size - 1) * step + 1 for size, step in zip(window, dilation, strict=True))
    check_padding(padding, axes, _PADDINGS)
    pairs = _around(padding, reach, steps)
    sizes = tuple(
        (size - 1) * step + 2 + sum(pair) - extent
        for size, step, pair, extent in zip(x.shape[1:-1], steps, pairs, reach, strict=True)
    )
    if min(sizes) < 1:
        raise ValueError(
            f"the window must fit into the spread and padded inputs, {x.shape[1:-1]} with strides "
            f"{steps} and padding {pairs}, got a window that spans {reach}"
        )
    # Zeros further out than the window reaches give outputs of 0.
    beyond = [
        tuple(max(zeros - extent + 1, 0) for zeros in pair)
        for pair, extent in zip(pairs, reach, strict=True)
    ]
    cut = tuple(
        (max(extent - 1 - before, 0), max(extent - 1 - behind, 0))
        for (before, behind), extent in zip(pairs, reach, strict=True)
    )
    inner = tuple(size - sum(zeros) for size, zeros in zip(sizes, beyond, strict=True))
    y = spread(x, forward, Geometry(steps, cut, dilation, inner, window))
    y = jnp.pad(y, ((0, 0), *beyond, (0, 0)))
    return _wrapped(y, x.shape, steps, transpose_kernel) if padding == "CIRCULAR" else y


def _around(
    padding: Padding, reach: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Count the zeros around the spread inputs."""
    if not isinstance(padding, str):
        return explicit_pairs(padding, len(reach))
    pairs = []
    for extent, step in zip(reach, steps, strict=True):
        if padding == "SAME":
            total = extent + step - 2
            before = extent - 1 if step >= extent else -(-total // 2)
        else:
            total = extent - 1 + max(extent, step) - 1
            before = extent - 1
        pairs.append((before, total - before))
    return tuple(pairs)


def _wrapped(
    y: jax.Array, shape: tuple[int, ...], steps: tuple[int, ...], transpose_kernel: bool
) -> jax.Array:
    """Add up what lies a period apart, the period being the inputs' size times the stride."""
    for axis, step in enumerate(steps, start=1):
        period, size = shape[axis] * step, y.shape[axis]
        # Half of what exceeds the period lies before it. Of an odd number, the extra entry lies
        # behind, or before where the kernel is that of the convolution, which pads behind.
        before = (size - period + (1 if transpose_kernel else 0)) // 2
        first = -before % period
        zeros = [(0, 0)] * y.ndim
        zeros[axis] = (first, -(first + size) % period)
        y = jnp.pad(y, zeros)
        y = y.reshape(*y.shape[:axis], -1, period, *y.shape[axis + 1 :]).sum(axis)
    return y


class ConvTranspose(nn.Module):
    """Transposed convolution, with the parameters of `flax.linen.ConvTranspose`.

    Names, shapes and padding are those of Flax, so the two can exchange weights.

    Attributes:
      features: number of channels of the outputs.
      kernel_size: size of the window, one entry for each spatial axis as in `Conv`; a single
        number stands for both axes of images (n, h, w, channels).
      strides, padding, kernel_dilation, transpose_kernel: see `conv_transpose`.
      use_bias: whether a bias is added.
      kernel_init: `(key, shape, dtype) -> array`. None means `he_normal()`.
      bias_init: initializer of the bias.
      dtype: dtype of the computation; None means the common dtype of inputs and parameters.
      param_dtype: dtype of the parameters. `float` means float32, or float64 where x64 is on.

    Inputs of shape (…, spatial axes, channels) give outputs of shape (…, spatial axes, features).

    Raises:
      ValueError: if a size is not a positive integer, or shapes do not fit.

    >>> layer = ConvTranspose(8, (3, 3), strides=2)
    >>> layer.init_with_output(jax.random.key(0), jnp.ones((2, 7, 7, 4)))[0].shape
    (2, 14, 14, 8)

    Source: Zeiler et al. 2010; Dumoulin and Visin 2016.
    """

    features: int
    kernel_size: Window = 3
    strides: Window = 1
    padding: Padding = "SAME"
    kernel_dilation: Window = 1
    transpose_kernel: bool = False
    use_bias: bool = True
    kernel_init: Initializer | None = None
    bias_init: Initializer = zeros()
    dtype: Any = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_layer(self, _PADDINGS)
        check_flag("transpose_kernel", self.transpose_kernel)
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array) -> jax.Array:
        check_spatial("kernel_size", self.kernel_size, x)
        channels = x.shape[-1]
        turned = self.transpose_kernel
        ends = (self.features, channels) if turned else (channels, self.features)
        return convolved(self, conv_transpose, x, ends, transpose_kernel=turned)
