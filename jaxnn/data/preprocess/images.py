"""Preprocessing of images: subtract the mean image, or use one statistic per channel.

Images are NHWC, (N, height, width, channels).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxnn.data.preprocess.moments import (
    align,
    check_fitted,
    checked,
    floating_dtype,
    in_blocks,
    moments,
    real_numbers,
)
from jaxnn.data.preprocess.standardization import Standardization, standardization

__all__ = [
    "Centering",
    "center",
    "fit_channel_mean",
    "fit_channel_standardize",
    "fit_mean_image",
    "uncenter",
]


class Centering(NamedTuple):
    """State of `fit_mean_image` and `fit_channel_mean`.

    Fields:
      mean: (height, width, channels), or any example's shape; or (channels,). float64 from
        NumPy input, float32 or wider from JAX input.
    """

    mean: Any


def fit_mean_image(x: Any) -> Centering:
    r"""Fit the mean of the training images, pixel by pixel, $\mu = \frac{1}{N} \sum_i x_i$.

    Args:
      x: (N, …) numbers, N at least 1. Use the training part only.

    Returns:
      The state for `center` and `uncenter`, a mean of one image's shape.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: no examples, or NaN or Inf among concrete values.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> import numpy as np
    >>> fit_mean_image(np.array([[[0, 10]], [[20, 30]]], np.uint8))
    Centering(mean=array([[10., 20.]]))

    Source: lecture S, "subtract the mean image (e.g. AlexNet)".
    """
    return Centering(moments(checked(x))[0])


def fit_channel_mean(x: Any) -> Centering:
    r"""Fit one mean for each channel, over all pixels of all training images.

    $$\mu_c = \frac{1}{N H W} \sum_{i, h, w} x_{i h w c}$$

    Args:
      x: (N, height, width, channels) images. Use the training part only.

    Returns:
      The state for `center` and `uncenter`, a mean of shape (channels,). It serves images
      of any size.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: not four axes, no examples, or NaN or Inf among concrete values.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> import numpy as np
    >>> fit_channel_mean(np.arange(8.0).reshape(2, 1, 2, 2))
    Centering(mean=array([3., 4.]))

    Source: lecture S, "subtract per-channel mean (e.g. VGGNet)".
    """
    return Centering(_channel_moments(checked(x))[0])


def fit_channel_standardize(x: Any) -> Standardization:
    r"""Fit one mean and one deviation for each channel, over all pixels of all images.

    $$\mu_c = \frac{1}{N H W} \sum_{i, h, w} x_{i h w c}, \qquad
      \sigma_c = \sqrt{\frac{1}{N H W} \sum_{i, h, w} (x_{i h w c} - \mu_c)^2}$$

    A constant channel gets σ = 1.

    Args:
      x: (N, height, width, channels) images. Use the training part only.

    Returns:
      The state for `standardize` and `unstandardize`, of shape (channels,). It serves
      images of any size.

    Raises:
      TypeError: a sparse matrix, or entries that are no real numbers.
      ValueError: not four axes, no examples, or NaN or Inf among concrete values.

    Warns:
      UserWarning: more than 90 % of concrete entries are 0.

    >>> import numpy as np
    >>> fit_channel_standardize(np.array([1, 7, 3, 7]).reshape(1, 1, 2, 2))
    Standardization(mean=array([2., 7.]), deviation=array([1., 1.]))

    Source: lecture S, "subtract per-channel mean and divide by per-channel std (e.g. ResNet)".
    """
    return standardization(*_channel_moments(checked(x)))


def _channel_moments(x: Any) -> tuple[Any, Any]:
    if x.ndim != 4:
        raise ValueError(
            "x must be images (n, height, width, channels), "
            f"got shape {x.shape}; grey images need an axis of one channel, x[..., None]"
        )
    pixel_mean, pixel_variance = moments(x)
    channels = x.shape[-1]
    # The pixel means have the mean of the whole, and its variance less that within pixels.
    mean, between = moments(pixel_mean.reshape(-1, channels))
    return mean, between + pixel_variance.reshape(-1, channels).mean(axis=0)


def center(state: Centering, x: Any) -> Any:
    r"""Subtract the fitted mean, $z = x - \mu$.

    Args:
      state: from `fit_mean_image` or `fit_channel_mean` on the training part.
      x: (…, features), any part of the data, or a single example.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> state = fit_mean_image(np.array([[0, 10], [20, 30]], np.uint8))
    >>> center(state, np.array([[0, 10]], np.uint8))
    array([[-10., -10.]], dtype=float32)

    Source: lecture S.
    """
    check_fitted(state, Centering)
    x = real_numbers("x", x)
    mean, dtype = align("x", x, state.mean), floating_dtype(state, x)
    return in_blocks(lambda rows: (rows - mean).astype(dtype), state, x, state.mean.ndim)


def uncenter(state: Centering, z: Any) -> Any:
    r"""Invert `center`: $x = z + \mu$.

    Args:
      state: from `fit_mean_image` or `fit_channel_mean`.
      z: (…, features), centered.

    Returns:
      An array of the same shape; of the same dtype where that is floating, else float32.

    Raises:
      TypeError: another kind of state; a sparse matrix, or entries that are no real numbers.
      ValueError: the features have another shape than those fitted.

    >>> import numpy as np
    >>> state = fit_mean_image(np.array([[0, 10], [20, 30]], np.uint8))
    >>> uncenter(state, np.array([[-10.0, -10.0]]))
    array([[ 0., 10.]])
    """
    check_fitted(state, Centering)
    z = real_numbers("z", z)
    mean, dtype = align("z", z, state.mean), floating_dtype(state, z)
    return in_blocks(lambda rows: (rows + mean).astype(dtype), state, z, state.mean.ndim)
