"""The convolution layer."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from jaxnn.arguments import check_positive_int
from jaxnn.nn.checks import checked_inputs
from jaxnn.nn.initializers.basic import Initializer, zeros
from jaxnn.nn.layers.convolution.conv import PADDINGS, conv
from jaxnn.nn.layers.convolution.module import check_layer, convolved
from jaxnn.nn.layers.windows import Padding, Window, check_spatial

__all__ = ["Conv"]


class Conv(nn.Module):
    r"""Convolution over sequences, images or volumes, with the parameters of `flax.linen.Conv`.

    Names, shapes and padding are those of Flax, so the two can exchange weights.

    Attributes:
      features: number of channels of the outputs.
      kernel_size: size of the window. A tuple has one to three entries, one for each spatial axis:
        (3,) for sequences (…, time, channels), (3, 3) for images (…, h, w, channels), (3, 3, 3)
        for volumes (…, d, h, w, channels). A single number stands for both axes of images, and
        the inputs must then be (n, h, w, channels): with other inputs it would be ambiguous.
      strides, padding, kernel_dilation, feature_group_count: see `conv`.
      use_bias: whether a bias is added.
      kernel_init: `(key, shape, dtype) -> array`. None means `he_normal()`, where the fan-in is
        that of a window, kh·kw·channels.
      bias_init: initializer of the bias.
      dtype: dtype of the computation; None means the common dtype of inputs and parameters.
      param_dtype: dtype of the parameters. `float` means float32, or float64 where x64 is on.

    Inputs of shape (…, spatial axes, channels) give outputs of shape (…, spatial axes, features).

    Raises:
      ValueError: if a size is not a positive integer, or shapes do not fit.

    >>> import jax.numpy as jnp
    >>> layer = Conv(32, 3)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'bias': (32,), 'kernel': (3, 3, 3, 32)}
    >>> layer.apply(variables, jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 32)
    >>> Conv(4, (3,)).init_with_output(jax.random.key(0), jnp.ones((2, 10, 3)))[0].shape
    (2, 10, 4)

    Source: lecture S.
    """

    features: int
    kernel_size: Window = 3
    strides: Window = 1
    padding: Padding = "SAME"
    kernel_dilation: Window = 1
    feature_group_count: int = 1
    use_bias: bool = True
    kernel_init: Initializer | None = None
    bias_init: Initializer = zeros()
    dtype: Any = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_layer(self, PADDINGS)
        check_positive_int("feature_group_count", self.feature_group_count)
        if self.features % self.feature_group_count:
            raise ValueError(
                f"feature_group_count must divide features, {self.features}, "
                f"got {self.feature_group_count}"
            )
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array) -> jax.Array:
        check_spatial("kernel_size", self.kernel_size, x)
        channels, groups = x.shape[-1], self.feature_group_count
        if channels % groups:
            raise ValueError(
                f"feature_group_count must divide the channels of x, {channels}, got {groups}"
            )
        ends = (channels // groups, self.features)
        return convolved(self, conv, x, ends, feature_group_count=groups)
