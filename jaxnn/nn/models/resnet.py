"""Residual networks."""

from __future__ import annotations

from dataclasses import field
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.nn.checks import checked_inputs
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layers.convolution.layer import Conv
from jaxnn.nn.layers.pooling.pool import max_pool
from jaxnn.nn.layers.pooling.whole import global_avg_pool
from jaxnn.nn.layers.windows import Padding
from jaxnn.nn.models.parts import Network, Normalization, Rate, check_rate

__all__ = ["ResNet"]


class ResNet(Network):
    r"""Residual network of two-layer blocks, $y = \phi(x + F(x))$.

    Two forms of He et al. 2016. For images of about 32×32 pixels, of 6n + 2 layers: a 3×3
    convolution, three stages of n blocks with 16, 32 and 64 channels, and shortcuts without
    parameters (every second pixel, and zeros for the new channels). For large images, of 18
    layers: a 7×7 convolution with stride 2 and a max-pool, four stages of two blocks with 64 to
    512 channels, and 1×1 convolutions where a shortcut changes shape. Both end with the mean
    over the pixels and a linear layer.

    Attributes:
      classes: number of outputs, the logits.
      depth: layers with weights: 18, or 6n + 2 with n at least 1 (20, 32, 44, 56, …).
      width: number of channels of the first stage. None: 16, or 64 at depth 18.
      dropout_rate: probability of dropping an entry before the last layer, in [0, 1); a float
        or a traced scalar. None: no dropout.
      normalization: the layer behind every convolution, see `jaxnn.nn.MLP`; "batch" here.
        Convolutions have a bias only where this is None.
      activation, normalize_after, kernel_init, bias_init, param_dtype: as for `jaxnn.nn.MLP`.

    Inputs of shape (n, h, w, channels) give logits of shape (n, classes). `weight` (n,) tells
    batch normalization which rows count.

    Raises:
      ValueError: if the depth is another one.

    >>> import jax.numpy as jnp
    >>> model = ResNet(10, depth=20)
    >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    269722

    Source: He et al. 2016.
    """

    classes: int
    depth: int = field(default=20, kw_only=True)
    width: int | None = field(default=None, kw_only=True)
    dropout_rate: Rate = field(default=None, kw_only=True)
    normalization: Normalization | None = field(default="batch", kw_only=True)

    def __post_init__(self) -> None:
        check_positive_int("classes", self.classes)
        check_positive_int("depth", self.depth)
        if self.depth != 18 and (self.depth < 8 or self.depth % 6 != 2):
            raise ValueError(f"depth must be 18, or 6n + 2 with n at least 1, got {self.depth}")
        if self.width is not None:
            check_positive_int("width", self.width)
        check_rate("dropout_rate", self.dropout_rate)
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(
        self, x: jax.Array, *, train: bool = False, weight: jax.Array | None = None
    ) -> jax.Array:
        check_flag("train", train)
        if x.ndim != 4:
            raise ValueError(f"x must be images (n, h, w, channels), got shape {x.shape}")
        large = self.depth == 18
        width = self.width or (64 if large else 16)
        blocks = (2,) * 4 if large else ((self.depth - 2) // 6,) * 3
        if large:
            stem = partial(self._conv, width, 7, strides=2, padding=3)
            x = self.activate(stem, x, train=train, weight=weight)
            x = max_pool(x, 3, strides=2, padding=1)
        else:
            x = self.activate(partial(self._conv, width, 3), x, train=train, weight=weight)
        for stage, count in enumerate(blocks):
            for block in range(count):
                strides = 2 if stage > 0 and block == 0 else 1
                x = self._block(x, width * 2**stage, strides, train=train, weight=weight)
        x = self.drop(global_avg_pool(x), self.dropout_rate, train=train)
        return self.logits(x, self.classes)

    def _block(
        self, x: jax.Array, features: int, strides: int, *, train: bool, weight: jax.Array | None
    ) -> jax.Array:
        # Padded by 1 on each side, also where "SAME" with stride 2 would pad behind alone.
        first = partial(self._conv, features, 3, strides=strides, padding=1)
        y = self.activate(first, x, train=train, weight=weight)
        second = self._conv(features, 3, padding=1)
        normalize = self.make_normalization()
        y = self.normalize(normalize, second(y), train=train, weight=weight)
        if x.shape != y.shape and self.depth == 18:
            x = self._conv(features, 1, strides=strides)(x)
            x = self.normalize(self.make_normalization(), x, train=train, weight=weight)
        elif x.shape != y.shape:
            new = features - x.shape[-1]
            x = jnp.pad(x[:, ::strides, ::strides], ((0, 0),) * 3 + ((0, new),))
        return self.phi(second, x + y)

    def _conv(
        self,
        features: int,
        size: int,
        use_bias: bool = True,
        strides: int = 1,
        padding: Padding = "SAME",
    ) -> nn.Module:
        # The published network has no biases here, whichever normalization it has.
        return Conv(
            features,
            size,
            strides=strides,
            padding=padding,
            use_bias=use_bias and self.normalization is None,
            kernel_init=self.kernel_init or initializer_for(self.activation),
            bias_init=self.bias_init,
            param_dtype=self.param_dtype,
        )
