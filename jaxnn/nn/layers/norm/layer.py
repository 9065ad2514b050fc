"""Normalization of each example by itself: layer normalization and RMS normalization."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.nn.checks import checked_inputs
from jaxnn.nn.layers.norm.affine import (
    Axes,
    Normalization,
    axes_of,
    checked_mask,
    masked_mean,
    wide,
)

__all__ = ["LayerNorm", "RMSNorm"]


class LayerNorm(Normalization):
    """Layer normalization: normalize each example (or token) over its features.

    Attributes:
      epsilon: added to the variance, at least 0; a float or a traced scalar. The default is
        1e-6 as in Flax; PyTorch has 1e-5, Keras 1e-3.
      reduction_axes: axes over which mean and variance are taken, a number or several.
      feature_axes: axes whose entries each have a γ and β of their own.
      use_bias, use_scale: whether the layer has β and γ.
      bias_init, scale_init: their initializers; they start at 0 and 1.
      dtype: dtype of the outputs; None means the common dtype of inputs and parameters.
      param_dtype: dtype of β and γ.

    Inputs of shape (…, features) give outputs of that shape. `mask`, Boolean and of a shape that
    broadcasts to the inputs, tells which entries count in the statistics; all are normalized.

    Raises:
      ValueError: if the inputs lack an axis, or `mask` does not broadcast to them.

    >>> layer = LayerNorm(use_scale=False, use_bias=False)
    >>> layer.apply({}, jnp.array([[1.0, 3.0]]))
    Array([[-0.9999995,  0.9999995]], dtype=float32)

    Source: Ba et al. 2016.
    """

    epsilon: float | jax.Array = 1e-6
    reduction_axes: Axes = -1
    feature_axes: Axes = -1

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        axes = axes_of("reduction_axes", self.reduction_axes, x)
        features = axes_of("feature_axes", self.feature_axes, x)
        counts = None if mask is None else checked_mask(mask, x)
        centered = wide(x) - masked_mean(wide(x), axes, counts)
        return self.affine(x, centered, masked_mean(jnp.square(centered), axes, counts), features)


class RMSNorm(Normalization):
    r"""RMS normalization: divide each example (or token) by the root mean square of its features.

    $$y = \gamma\, \frac{x}{\sqrt{\overline{x^2} + \epsilon}}$$

    It is layer normalization without the mean and, by default, without β.

    Attributes:
      epsilon: added to the mean square, at least 0; a float or a traced scalar. 1e-6 as in Flax
        and Keras; PyTorch's default is the smallest step of the dtype.
      reduction_axes: axes over which the mean square is taken, a number or several.
      feature_axes: axes whose entries each have a γ of their own.
      use_bias, use_scale: whether the layer has β and γ.
      bias_init, scale_init, dtype, param_dtype: see `LayerNorm`.

    Inputs of shape (…, features) give outputs of that shape. `mask`: see `LayerNorm`.

    Raises:
      ValueError: if the inputs lack an axis, or `mask` does not broadcast to them.

    >>> y = RMSNorm(use_scale=False).apply({}, jnp.array([1.0, 7.0]))
    >>> round(float(y[0]), 3), round(float(y[1]), 3)
    (0.2, 1.4)

    Source: Zhang and Sennrich 2019.
    """

    epsilon: float | jax.Array = 1e-6
    use_bias: bool = False
    reduction_axes: Axes = -1
    feature_axes: Axes = -1

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
        axes = axes_of("reduction_axes", self.reduction_axes, x)
        features = axes_of("feature_axes", self.feature_axes, x)
        counts = None if mask is None else checked_mask(mask, x)
        return self.affine(x, wide(x), masked_mean(jnp.square(wide(x)), axes, counts), features)
