"""The convolution layer, and the arguments of windows that it shares with pooling."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.linen.dtypes import promote_dtype

from jaxnn.arguments import check_choice, check_positive_int
from jaxnn.nn.initializers.basic import Initializer, he_normal, zeros
from jaxnn.nn.layers.convolution import convolve
from jaxnn.nn.layers.geometry import Geometry

__all__ = ["Conv", "Padding", "Window", "conv", "padding_pairs", "window_pair"]

Window = int | Sequence[int]
Padding = str | int | Sequence[Any]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Window = 1,
    padding: Padding = "SAME",
    kernel_dilation: Window = 1,
    feature_group_count: int = 1,
) -> jax.Array:
    r"""Cross-correlate images with a kernel; pixels beyond the border are zeros.

    $$y_{n,i,j,o} = \sum_{a,b,c} x_{n,\; s i + d a - p,\; s j + d b - p,\; c}\; w_{a,b,c,o}$$

    The results equal those of `jax.lax.conv_general_dilated` up to the order of summation. It is
    faster than that on CPU inside a compiled loop, and under `vmap` over kernels; the docstring
    of `jaxnn.nn.layers.convolution` explains why.

    Args:
      x: images (n, h, w, channels).
      kernel: (kh, kw, channels / feature_group_count, features), in the dtype of `x`.
      strides: step of the window in pixels, one number for both axes or a pair.
      padding: "SAME" (the outputs have the size of the inputs divided by the strides, rounded
        up), "VALID" (no padding), a number of pixels for all four sides, or for each axis a
        number or a pair (before, behind).
      kernel_dilation: distance between neighbouring kernel entries, one number or a pair.
      feature_group_count: number of groups into which channels and features are divided. Above
        1, the backend's own convolution is used.

    Returns:
      (n, h', w', features).

    Raises:
      ValueError: if shapes, strides or padding do not fit.

    >>> import jax.numpy as jnp
    >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> conv(x, jnp.ones((3, 3, 1, 1)), padding="VALID")[0, ..., 0]
    Array([[45., 54.],
           [81., 90.]], dtype=float32)

    Source: lecture S. Other libraries define it in the same way and call it convolution.
    """
    groups = check_positive_int("feature_group_count", feature_group_count)
    _check_shapes(x, kernel, groups)
    (_, height, width, _), (rows, columns, _, _) = x.shape, kernel.shape
    sizes, window = (height, width), (rows, columns)
    steps = window_pair("strides", strides)
    dilation = window_pair("kernel_dilation", kernel_dilation)
    reach = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
    pairs = padding_pairs(padding, sizes, reach, steps)
    if groups > 1:
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            steps,
            pairs,
            rhs_dilation=dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
    return convolve(x, kernel, Geometry(steps, pairs, dilation, sizes, window))


class Conv(nn.Module):
    r"""Convolution over images, with the parameters of `flax.linen.Conv`.

    Names, shapes and padding are those of Flax, so the two can exchange weights.

    Attributes:
      features: number of channels of the outputs.
      kernel_size: size of the window in pixels, a number for both axes or a pair.
      strides, padding, kernel_dilation, feature_group_count: see `conv`.
      use_bias: whether a bias is added.
      kernel_init: `(key, shape, dtype) -> array`. None means `he_normal()`, where the fan-in is
        that of a window, kh·kw·channels.
      bias_init: initializer of the bias.
      dtype: dtype of the computation; None means the common dtype of inputs and parameters.
      param_dtype: dtype of the parameters. `float` means float32, or float64 where x64 is on.

    Inputs of shape (…, h, w, channels) give outputs of shape (…, h', w', features).

    Raises:
      ValueError: if a size is not a positive integer, or shapes do not fit.

    >>> import jax.numpy as jnp
    >>> layer = Conv(32, 3)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'bias': (32,), 'kernel': (3, 3, 3, 32)}
    >>> layer.apply(variables, jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 32)

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
        check_positive_int("features", self.features)
        check_positive_int("feature_group_count", self.feature_group_count)
        for name in ("kernel_size", "strides", "kernel_dilation"):
            window_pair(name, getattr(self, name))
        if self.features % self.feature_group_count:
            raise ValueError(
                f"feature_group_count must divide features, {self.features}, "
                f"got {self.feature_group_count}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        _check_images("x", x)
        channels = x.shape[-1]
        if channels % self.feature_group_count:
            raise ValueError(
                f"feature_group_count must divide the channels of x, {channels}, "
                f"got {self.feature_group_count}"
            )
        window = window_pair("kernel_size", self.kernel_size)
        shape = (*window, channels // self.feature_group_count, self.features)
        init = self.kernel_init or he_normal()
        kernel = self.param("kernel", init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        assert x is not None and kernel is not None  # only the bias may be None
        y = conv(
            x.reshape(-1, *x.shape[-3:]),
            kernel,
            strides=self.strides,
            padding=self.padding,
            kernel_dilation=self.kernel_dilation,
            feature_group_count=self.feature_group_count,
        )
        y = y.reshape(*x.shape[:-3], *y.shape[1:])
        return y if bias is None else y + bias.reshape((1,) * (y.ndim - 1) + (-1,))


def window_pair(name: str, value: Window) -> tuple[int, int]:
    """Expand the size or step of a window to a pair of positive integers.

    Raises:
      ValueError: if `value` is neither a positive integer nor a pair of them.

    >>> window_pair("strides", 2)
    (2, 2)
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ValueError(f"{name} must be a positive integer or a pair of them, got {value!r}")
    return check_positive_int(name, value[0]), check_positive_int(name, value[1])


def padding_pairs(
    padding: Padding, sizes: Sequence[int], reach: Sequence[int], steps: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Expand any form of `padding` to pairs (before, behind), one for each of the two axes.

    Args:
      padding: "SAME", "VALID", a number, or for each axis a number or a pair.
      sizes: sizes of the inputs in pixels.
      reach: extent of the window in pixels, including the gaps of dilation.
      steps: strides of the window in pixels.

    Raises:
      ValueError: if `padding` has another form, or the window exceeds the padded inputs.

    >>> padding_pairs("SAME", (28, 28), (3, 3), (2, 2))
    ((0, 1), (0, 1))
    """
    if isinstance(padding, str):
        check_choice("padding", padding, ("SAME", "VALID"))
        # There are ceil(size / step) outputs; of an odd padding the extra pixel goes behind.
        missing = [
            max(-(-size // step) * step - step + extent - size, 0) if padding == "SAME" else 0
            for size, extent, step in zip(sizes, reach, steps, strict=True)
        ]
        pairs = [(total // 2, total - total // 2) for total in missing]
    else:
        try:
            each: list[Any] = [padding] * 2 if isinstance(padding, int) else list(padding)
            pairs = [(p, p) if isinstance(p, int) else tuple(p) for p in each]
            pairs = [tuple(operator.index(p) for p in pair) for pair in pairs]
        except (TypeError, ValueError):
            pairs = []
        if len(pairs) != 2 or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
            raise ValueError(
                'padding must be "SAME", "VALID", an integer of at least 0, or for each of the '
                f"two axes one or a pair (before, behind), got {padding!r}"
            )
    for size, pair, extent in zip(sizes, pairs, reach, strict=True):
        if size + sum(pair) < extent:
            raise ValueError(
                f"the window must fit into the padded inputs, {tuple(sizes)} with padding "
                f"{tuple(pairs)}, got a window that spans {tuple(reach)}"
            )
    return (pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1])


def _check_images(name: str, x: jax.Array) -> None:
    if x.ndim < 3:
        raise ValueError(f"{name} must be images (..., h, w, channels), got shape {x.shape}")


def _check_shapes(x: jax.Array, kernel: jax.Array, groups: int) -> None:
    if x.ndim != 4 or kernel.ndim != 4:
        raise ValueError(
            "x must have shape (n, h, w, channels) and kernel (kh, kw, channels, features), "
            f"got {x.shape} and {kernel.shape}"
        )
    if x.shape[3] != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            f"kernel must have {x.shape[3]} channels over {groups} groups on its third axis, and "
            f"a number of features that the groups divide, got shape {kernel.shape}"
        )
    if x.dtype != kernel.dtype:
        raise ValueError(f"kernel must have the dtype of x, {x.dtype}, got {kernel.dtype}")
