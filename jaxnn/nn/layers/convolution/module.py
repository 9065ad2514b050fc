"""The attributes and the call that `Conv` and `ConvTranspose` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax.linen.dtypes import promote_dtype

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.nn.checks import check_dtype, check_initializer
from jaxnn.nn.initializers.basic import he_normal
from jaxnn.nn.layers.convolution.conv import check_padding
from jaxnn.nn.layers.windows import steps_of, window_of

__all__ = ["check_layer", "convolved"]


def check_layer(layer: Any, paddings: tuple[str, ...]) -> None:
    """Refuse attributes of a layer that do not fit; `paddings` are the names it knows."""
    check_positive_int("features", layer.features)
    check_flag("use_bias", layer.use_bias)
    axes = len(window_of("kernel_size", layer.kernel_size))
    for name in ("strides", "kernel_dilation"):
        steps_of(name, getattr(layer, name), axes)
    check_padding(layer.padding, axes, paddings)
    check_initializer("kernel_init", layer.kernel_init, none=True)
    check_initializer("bias_init", layer.bias_init)
    check_dtype("dtype", layer.dtype, none=True)
    check_dtype("param_dtype", layer.param_dtype)


def convolved(
    layer: Any, function: Callable[..., jax.Array], x: jax.Array, ends: tuple[int, int], **own: Any
) -> jax.Array:
    """Convolve x with the layer's kernel, whatever leading axes x has, and add its bias.

    Args:
      layer: whose parameters are made, inside its compact `__call__`.
      function: `conv` or `conv_transpose`.
      x: (…, spatial axes, channels).
      ends: the last two axes of the kernel.
      own: arguments that `function` alone has.
    """
    window = window_of("kernel_size", layer.kernel_size)
    init = layer.kernel_init or he_normal()
    kernel = layer.param("kernel", init, (*window, *ends), layer.param_dtype)
    bias = None
    if layer.use_bias:
        bias = layer.param("bias", layer.bias_init, (layer.features,), layer.param_dtype)
    x_cast, kernel, bias = promote_dtype(x, kernel, bias, dtype=layer.dtype)
    assert x_cast is not None and kernel is not None  # only the bias may be None
    axes = len(window)
    y = function(
        x_cast.reshape(-1, *x.shape[-axes - 1 :]),
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        kernel_dilation=layer.kernel_dilation,
        **own,
    )
    y = y.reshape(*x.shape[: -axes - 1], *y.shape[1:])
    return y if bias is None else y + bias.reshape((1,) * (y.ndim - 1) + (-1,))
