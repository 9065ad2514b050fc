"""The convolutional network of the lectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import partial

import flax.linen as nn
import jax

from jaxnn.arguments import check_choice, check_flag, check_positive_int
from jaxnn.nn.checks import checked_inputs
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layers.convolution.layer import Conv
from jaxnn.nn.layers.pooling.pool import avg_pool, max_pool
from jaxnn.nn.layers.pooling.stochastic import StochasticPool
from jaxnn.nn.layers.windows import Window, window_of
from jaxnn.nn.models.parts import check_widths
from jaxnn.nn.models.plain import PlainNetwork, Rates, rates_of

__all__ = ["ConvNet"]

_POOLS = {"max": max_pool, "avg": avg_pool}


class ConvNet(PlainNetwork):
    r"""Convolutional network: stages of convolutions, each ended by pooling, then dense layers.

    $$[\,\phi(\mathrm{conv})\,]^k \to \mathrm{pool} \to \dots \to
    [\,\phi(\mathrm{dense}) \to \mathrm{dropout}\,]^m \to \mathrm{dense}$$

    Attributes:
      classes: number of outputs, the logits.
      channels: channels of each stage: a number for one convolution, a sequence for several
        convolutions before the stage's pooling.
      hidden: units of the dense layers before the last.
      kernel_size: size of every convolution's window, one number for both axes or a pair; padding
        keeps the image's size.
      pool: "max", "avg" or "stochastic", over 2×2 pixels with strides of 2; an odd row or column
        at the end is left out. "stochastic" is `jaxnn.nn.StochasticPool`, for activations of at
        least 0.
      image_shape: (h, w, channels) where the inputs are flat, (n, h·w·channels).
      conv_dropout_rate: probability of dropping an entry behind each pooling, in [0, 1); a float
        or a traced scalar. A tuple has a rate for each stage. None, alone or in the tuple: no
        dropout there.
      dropout_rate: the same for the hidden units of the dense layers; a tuple has a rate for each
        of them.
      activation, maxout_pieces, dropout_scale_at, normalization, normalize_after, kernel_init,
      bias_init, param_dtype: as for `jaxnn.nn.MLP`. As there, a convolution or dense layer that
        batch normalization follows at once has no bias.

    Inputs of shape (n, h, w, channels) give logits of shape (n, classes). `weight` (n,) tells
    batch normalization which rows count.

    Raises:
      ValueError, TypeError: if an argument has another form, or the poolings use up the images.

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
    dropout_rate: Rates = field(default=None, kw_only=True)
    pool: str = field(default="max", kw_only=True)
    image_shape: Sequence[int] | None = field(default=None, kw_only=True)
    conv_dropout_rate: Rates = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_positive_int("classes", self.classes)
        if not isinstance(self.channels, Sequence) or isinstance(self.channels, (str, bytes)):
            raise TypeError(f"channels must be a sequence, got {self.channels!r}")
        for stage in self.channels:
            check_widths("channels", stage if isinstance(stage, Sequence) else (stage,))
        check_widths("hidden", self.hidden)
        if len(window_of("kernel_size", self.kernel_size)) != 2:
            raise ValueError(f"kernel_size must be a number or a pair, got {self.kernel_size}")
        check_choice("pool", self.pool, (*_POOLS, "stochastic"))
        if self.image_shape is not None:
            check_widths("image_shape", self.image_shape)
            if len(self.image_shape) != 3:
                raise ValueError(f"image_shape must be (h, w, channels), got {self.image_shape}")
        rates_of("conv_dropout_rate", self.conv_dropout_rate, len(self.channels))
        rates_of("dropout_rate", self.dropout_rate, len(self.hidden))
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(
        self, x: jax.Array, *, train: bool = False, weight: jax.Array | None = None
    ) -> jax.Array:
        check_flag("train", train)
        if self.image_shape is not None:
            x = x.reshape(-1, *self.image_shape)
        if x.ndim != 4:
            raise ValueError(
                "x must be images (n, h, w, channels), or flat with image_shape given, "
                f"got shape {x.shape}"
            )
        rates = rates_of("conv_dropout_rate", self.conv_dropout_rate, len(self.channels))
        for stage, rate in zip(self.channels, rates, strict=True):
            for features in stage if isinstance(stage, Sequence) else (stage,):
                make = partial(self._conv, features)
                x = self.activate(make, x, train=train, weight=weight)
            x = self.dropped(self._pooled(x, train=train), rate, train=train)
        x = x.reshape(x.shape[0], -1)
        rates = rates_of("dropout_rate", self.dropout_rate, len(self.hidden))
        for width, rate in zip(self.hidden, rates, strict=True):
            x = self.activate(partial(self.dense, width), x, train=train, weight=weight)
            x = self.dropped(x, rate, train=train)
        return self.logits(x, self.classes)

    def _conv(self, features: int, use_bias: bool) -> nn.Module:
        return Conv(
            features * self.pieces,
            self.kernel_size,
            use_bias=use_bias,
            kernel_init=self.kernel_init or initializer_for(self.activation),
            bias_init=self.bias_init,
            param_dtype=self.param_dtype,
        )

    def _pooled(self, x: jax.Array, *, train: bool) -> jax.Array:
        if self.pool == "stochastic":
            return StochasticPool(2, strides=2)(x, train=train)
        return _POOLS[self.pool](x, 2, strides=2)
