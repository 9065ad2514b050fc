"""Activations with learned parameters, as Linen modules: PReLU and maxout."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.nn.activations.rectifiers import knob_like
from jaxnn.nn.checks import check_dtype, check_held_knob, check_initializer, checked_inputs
from jaxnn.nn.initializers.basic import constant, lecun_normal, zeros
from jaxnn.nn.initializers.fans import Initializer
from jaxnn.nn.taps import layer_path, tap

__all__ = ["Maxout", "PReLU"]


class PReLU(nn.Module):
    r"""Leaky ReLU whose slope is learned.

    $$f(x) = \begin{cases} x & x > 0 \\ a x & x \le 0 \end{cases}$$

    This is the piecewise form. Lecture S's $\max(ax, x)$ equals it for $a \le 1$; for a larger
    a it would change the positive side instead. The slope is the parameter `negative_slope`, as
    in `flax.linen.PReLU`, where it starts at 0.01. It has fewer than two axes, so the
    `weights_only` mask excludes it from weight decay, as the paper advises.

    Attributes:
      negative_slope_init: initial value of a, any finite number; a float or a traced scalar.
      per_channel: whether each entry of the last axis has its own slope.
      param_dtype: dtype of the slope. `float` means float32, or float64 where x64 is on.

    Inputs of any shape give outputs of the same shape and dtype. One instance used as the
    activation of a whole model is one slope that all layers share.

    Raises:
      ValueError: if a concrete `negative_slope_init` is not finite.

    >>> layer = PReLU()
    >>> variables = layer.init(jax.random.key(0), jnp.ones(3))
    >>> variables["params"]
    {'negative_slope': Array(0.25, dtype=float32)}
    >>> layer.apply(variables, jnp.array([-1.0, 0.0, 2.0]))
    Array([-0.25,  0.  ,  2.  ], dtype=float32)

    Source: He et al. 2015; lecture S.
    """

    negative_slope_init: float | jax.Array = 0.25
    per_channel: bool = False
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_held_knob("negative_slope_init", self.negative_slope_init)
        check_flag("per_channel", self.per_channel)
        check_dtype("param_dtype", self.param_dtype)
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.per_channel and x.ndim < 1:
            raise ValueError("x must have an axis of channels, got a single number")
        shape = x.shape[-1:] if self.per_channel else ()
        start = constant(self.negative_slope_init)
        slope = self.param("negative_slope", start, shape, self.param_dtype)
        if self.per_channel:
            slope = slope.reshape((1,) * (x.ndim - 1) + shape)
        # A slope for each channel is an array, which `leaky_relu` does not take.
        return jnp.where(x > 0, x, knob_like(slope, x) * x)


class Maxout(nn.Module):
    r"""Dense layer whose units are each the largest of k linear maps.

    $$f_i(x) = \max_{j \le k}\; w_{ij}^\top x + b_{ij}$$

    It needs no activation behind it and generalizes ReLU and leaky ReLU (k = 2). It does not
    saturate, and its units always have a gradient. It has k times the parameters of a dense
    layer.

    Attributes:
      features: number of units, the size of the outputs' last axis.
      pieces: k, the number of linear maps of each unit.
      kernel_init: `(key, shape, dtype) -> array`, for the kernel (inputs, features · k), whose
        fan-in is that of one map. None means `lecun_normal()`: for k = 2 it keeps the mean square
        from layer to layer, since the larger of two standard normals has mean square 1.
      bias_init: initializer of the biases (features · k,). None means zeros.
      param_dtype: dtype of the parameters. `float` means float32, or float64 where x64 is on.

    Inputs of shape (…, inputs) give outputs of shape (…, features).

    Raises:
      ValueError: if `features` or `pieces` is not a positive integer.

    >>> layer = Maxout(10, pieces=3)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 4)))
    >>> variables["params"]["Dense_0"]["kernel"].shape
    (4, 30)
    >>> layer.apply(variables, jnp.ones((5, 4))).shape
    (5, 10)

    Source: Goodfellow et al. 2013; lecture S.
    """

    features: int
    pieces: int = 2
    kernel_init: Initializer | None = None
    bias_init: Initializer | None = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_positive_int("features", self.features)
        check_positive_int("pieces", self.pieces)
        check_initializer("kernel_init", self.kernel_init, none=True)
        check_initializer("bias_init", self.bias_init, none=True)
        check_dtype("param_dtype", self.param_dtype)
        super().__post_init__()

    @nn.compact
    @checked_inputs(axes=1)
    def __call__(self, x: jax.Array) -> jax.Array:
        if x.ndim < 1:
            raise ValueError("x must be (..., inputs), got a single number")
        maps = nn.Dense(
            self.features * self.pieces,
            kernel_init=self.kernel_init or lecun_normal(),
            bias_init=self.bias_init or zeros(),
            param_dtype=self.param_dtype,
        )
        path = layer_path(maps)
        z = tap(path, maps(x), site="preactivation")
        largest = z.reshape(*x.shape[:-1], self.features, self.pieces).max(axis=-1)
        return tap(path, largest, site="activation")
