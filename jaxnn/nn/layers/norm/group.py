"""Group normalization; `jaxnn.nn.layers.norm.affine` says what it shares with its relatives."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_positive_int
from jaxnn.nn.checks import checked_inputs
from jaxnn.nn.layers.norm.affine import (
    Axes,
    Normalization,
    axes_of,
    checked_mask,
    masked_mean,
    wide,
)

__all__ = ["GroupNorm"]


class GroupNorm(Normalization):
    """Group normalization: normalize groups of channels of each example, over its pixels.

    Attributes:
      num_groups: number of groups of channels. 1 normalizes all channels of an example
        together; as many groups as channels is instance normalization.
      epsilon: added to the variance, at least 0; a float or a traced scalar.
      reduction_axes: axes over which mean and variance are taken, the last axis among them. None:
        all but the first, which is the batch. Name them where the inputs have no batch or
        several axes of it: (-3, -2, -1) for images (…, h, w, channels).
      use_bias, use_scale: whether the layer has β and γ, one per channel.
      bias_init, scale_init: their initializers; they start at 0 and 1.
      dtype: dtype of the outputs; None means the common dtype of inputs and parameters.
      param_dtype: dtype of β and γ.

    Inputs of shape (n, …, channels) give outputs of that shape. `mask`, Boolean and of a shape
    that broadcasts to the inputs, tells which entries count in the statistics; all are normalized.

    Raises:
      ValueError: if the number of groups does not divide the number of channels, an axis is
        missing, or `mask` does not broadcast to the inputs.

    >>> layer = GroupNorm(num_groups=2, use_scale=False, use_bias=False)
    >>> layer.apply({}, jnp.array([[1.0, 3.0, 10.0, 10.0]])).round(3)
    Array([[-1.,  1.,  0.,  0.]], dtype=float32)

    Source: Wu and He 2018.
    """

    epsilon: float | jax.Array = 1e-6
    num_groups: int = 8
    reduction_axes: Axes | None = None

    def __post_init__(self) -> None:
        check_positive_int("num_groups", self.num_groups)
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        if x.ndim < 2 and self.reduction_axes is None:
            raise ValueError(f"x must be (n, ..., channels), got shape {x.shape}")
        channels, last = x.shape[-1], x.ndim - 1
        if channels % self.num_groups:
            raise ValueError(
                f"num_groups must divide the {channels} channels of x, got {self.num_groups}"
            )
        asked = self.reduction_axes
        asked = tuple(range(1, x.ndim)) if asked is None else asked
        axes = axes_of("reduction_axes", asked, x)
        if last not in axes:
            raise ValueError(
                f"reduction_axes must contain the last axis, the channels, got {asked!r}"
            )
        within = channels // self.num_groups
        apart = (*x.shape[:-1], self.num_groups, within)
        counts = None
        if mask is not None:
            counts = checked_mask(mask, x)
            counts = jnp.broadcast_to(counts, (*counts.shape[:-1], channels))
            counts = counts.reshape(*counts.shape[:-1], self.num_groups, within)
        over = (*axes[:-1], last + 1)
        groups = wide(x).reshape(apart)
        centered = groups - masked_mean(groups, over, counts)
        var = masked_mean(jnp.square(centered), over, counts)[..., 0]
        var = jnp.repeat(var, within, axis=-1)
        return self.affine(x, centered.reshape(x.shape), var, (last,))
