"""The convolutional network of the lectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

import flax.linen as nn
import jax

from jaxnn.arguments import check_choice, check_positive_int
from jaxnn.nn.initializers.basic import initializer_for
from jaxnn.nn.layers.conv import Conv, Window, window_pair
from jaxnn.nn.layers.pooling import avg_pool, max_pool
from jaxnn.nn.models.parts import Network, check_rate, check_widths

__all__ = ["ConvNet"]

_POOLS = {"max": max_pool, "avg": avg_pool}


class ConvNet(Network):
    r"""Convolutional network: stages of convolutions, each ended by pooling, then dense layers.

    $$[\,\phi(\mathrm{conv})\,]^k \to \mathrm{pool} \to \dots \to
    [\,\phi(\mathrm{dense}) \to \mathrm{dropout}\,]^m \to \mathrm{dense}$$

    Attributes:
      classes: number of outputs, the logits.
      channels: of each stage: a number for one convolution, a sequence for several before
        the stage's pooling.
      hidden: units of the dense layers before the last.
      kernel_size: of every convolution, padded to keep the image's size.
      pool: "max" or "avg", over 2×2 pixels; an odd row or column at the end is left out.
      image_shape: (h, w, channels) where the inputs are flat, (n, h·w·channels).
      conv_dropout_rate: probability of dropping an entry behind each pooling, in [0, 1); a
        float or a traced scalar. None: no dropout there.
      dropout_rate: the same for the hidden units of the dense layers.
      activation, normalization, normalize_after, kernel_init, bias_init, param_dtype: as for
        `jaxnn.nn.MLP`.

    Inputs of shape (n, h, w, channels) give logits of shape (n, classes). `weight` (n,) tells
    batch normalization which rows are there.

    Raises:
      ValueError, TypeError: arguments of another form, images that poolings use up.

    >>> import jax.numpy as jnp
    >>> model = ConvNet(10, channels=(32, 64), hidden=(128,))
    >>> variables = model.init(jax.random.key(0), jnp.ones((1, 28, 28, 1)))
    >>> variables["params"]["Dense_0"]["kernel"].shape
    (3136, 128)

    Source: lecture S; LeCun et al. 1998, Simonyan and Zisserman 2015.
    """

    classes: int
    channels: Sequence[int | Sequence[int]] = field(default=(32, 64), kw_only=True)
    hidden: Sequence[int] = field(default=(128,), kw_only=True)
    kernel_size: Window = field(default=3, kw_only=True)
    pool: str = field(default="max", kw_only=True)
    image_shape: Sequence[int] | None = field(default=None, kw_only=True)
    conv_dropout_rate: float | jax.Array | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_positive_int("classes", self.classes)
        for stage in self.channels:
            check_widths("channels", stage if isinstance(stage, Sequence) else (stage,))
        check_widths("hidden", self.hidden)
        window_pair("kernel_size", self.kernel_size)
        check_choice("pool", self.pool, tuple(_POOLS))
        if self.image_shape is not None:
            check_widths("image_shape", self.image_shape)
            if len(self.image_shape) != 3:
                raise ValueError(f"image_shape must be (h, w, channels), got {self.image_shape}")
        check_rate("conv_dropout_rate", self.conv_dropout_rate)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, weight: jax.Array | None = None
    ) -> jax.Array:
        if self.image_shape is not None:
            x = x.reshape(-1, *self.image_shape)
        if x.ndim != 4:
            raise ValueError(
                "x must be images (n, h, w, channels), or flat with image_shape given, "
                f"got shape {x.shape}"
            )
        init = self.kernel_init or initializer_for(self.activation)
        for stage in self.channels:
            for features in stage if isinstance(stage, Sequence) else (stage,):
                layer = Conv(
                    features,
                    self.kernel_size,
                    kernel_init=init,
                    bias_init=self.bias_init,
                    param_dtype=self.param_dtype,
                )
                x = self.activate(layer, x, train=train, weight=weight)
            x = _POOLS[self.pool](x, 2, strides=2)
            x = self.drop(x, self.conv_dropout_rate, train=train)
        x = x.reshape(x.shape[0], -1)
        for width in self.hidden:
            x = self.activate(self.dense(width), x, train=train, weight=weight)
            x = self.drop(x, self.dropout_rate, train=train)
        return self.logits(x, self.classes)
