"""The convolution layer."""

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
    r"""Cross-correlation of images with a kernel, zeros around the border.

    $$y_{n,i,j,o} = \sum_{a,b,c} x_{n,\; s i + d a - p,\; s j + d b - p,\; c}\; w_{a,b,c,o}$$

    The numbers are those of `jax.lax.conv_general_dilated` up to the order of summation; the
    time is not, on CPU inside a compiled loop and under `vmap` over kernels
    (`jaxnn.nn.convolution` says why and how).

    Args:
      x: (n, h, w, channels).
      kernel: (kh, kw, channels / feature_group_count, features), of `x`'s dtype.
      strides: step of the window, one for both axes or a pair.
      padding: "SAME" (as many outputs as inputs over strides), "VALID" (none), a number for
        all four sides, or per axis a number or a pair (before, behind).
      kernel_dilation: distance of neighbouring kernel entries, 1 or a pair.
      feature_group_count: groups that channels and features are divided into; above 1 the
        backend's own convolution is used.

    Returns:
      (n, h', w', features).

    Raises:
      ValueError: shapes, strides or padding that do not fit.

    >>> import jax.numpy as jnp
    >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> conv(x, jnp.ones((3, 3, 1, 1)), padding="VALID")[0, ..., 0]
    Array([[45., 54.],
           [81., 90.]], dtype=float32)

    Source: lecture S; the definition is that of every peer, who call it convolution.
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
    r"""A convolution over images, with the parameters of `flax.linen.Conv`.

    Names, shapes and padding are Flax's, so weights move freely between the two.

    Attributes:
      features: of an output pixel.
      kernel_size: of the window, a number for both axes or a pair.
      strides, padding, kernel_dilation, feature_group_count: see `conv`.
      use_bias: whether a bias is added.
      kernel_init: `(key, shape, dtype) -> array`. None: He, whose fan-in is that of a window,
        kh·kw·channels.
      bias_init: of the bias.
      dtype: of the computation; None: that of inputs and parameters together.
      param_dtype: of the parameters. `float` is float32, and float64 where x64 is on.

    Inputs of shape (…, h, w, channels) give outputs of shape (…, h', w', features).

    Raises:
      ValueError: sizes that are no positive integers, shapes that do not fit.

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
        assert x is not None and kernel is not None  # only a bias may be
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
    """A window's size or step for both axes, as two positive integers.

    >>> window_pair("strides", 2)
    (2, 2)

    Raises:
      ValueError: anything else than one or two positive integers.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise ValueError(f"{name} must be a positive integer or a pair of them, got {value!r}")
    return check_positive_int(name, value[0]), check_positive_int(name, value[1])


def padding_pairs(
    padding: Padding, sizes: Sequence[int], reach: Sequence[int], steps: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """What stands before and behind each of the two axes, from any form of `padding`.

    Args:
      padding: "SAME", "VALID", a number, or per axis a number or a pair.
      sizes: of the inputs.
      reach: of the window, its holes included.
      steps: of the window.

    Raises:
      ValueError: another form, or a window that reaches beyond the padded inputs.

    >>> padding_pairs("SAME", (28, 28), (3, 3), (2, 2))
    ((0, 1), (0, 1))
    """
    if isinstance(padding, str):
        check_choice("padding", padding, ("SAME", "VALID"))
        # The outputs are ceil(size / step); what is missing is split, the odd one behind.
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
            f"features that these divide, got shape {kernel.shape}"
        )
    if x.dtype != kernel.dtype:
        raise ValueError(f"kernel must have the dtype of x, {x.dtype}, got {kernel.dtype}")
