"""Relatives of dropout: Gaussian noise that multiplies, and dropout for self-normalizing networks.

Like dropout, both draw from bits that do not depend on the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_knob, check_text
from jaxnn.keys import as_key
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.layers.draws import uniform_bits
from jaxnn.nn.layers.dropout.dropout import check_broadcast_dims, drawn_shape, keep_mask

__all__ = ["AlphaDropout", "GaussianDropout", "alpha_dropout", "gaussian_dropout"]

# SELU's limit far below 0, −λα.
_LOWEST = -1.7580993408473766


def gaussian_dropout(
    key: Any, x: jax.Array, rate: float | jax.Array, *, broadcast_dims: Sequence[int] = ()
) -> jax.Array:
    r"""Multiply each entry by a normal random number of mean 1.

    $$y_i = x_i\,(1 + \sigma z_i), \qquad z_i \sim \mathcal N(0, 1), \quad
    \sigma^2 = \frac{r}{1 - r}$$

    The noise has the mean and the variance of inverted dropout's factor at the same rate, so
    evaluation changes nothing.

    Args:
      key: a key, see `jaxnn.keys.as_key`.
      x: array of a floating dtype, of any shape.
      rate: r, in [0, 1); a float or a traced scalar. A traced rate of 1 or more, which cannot be
        refused, gives NaN or infinite numbers.
      broadcast_dims: axes of `x` along which one draw is shared.

    Returns:
      Array of `x`'s shape and dtype.

    Raises:
      ValueError: if a concrete `rate` lies outside [0, 1), or `x` lacks one of the axes.

    >>> y = gaussian_dropout(jax.random.key(0), jnp.ones(10_000), 0.5)
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 1.0)

    Source: Srivastava et al. 2014, section 10.
    """
    check_knob("rate", rate, 0, 1, high_open=True)
    x = _floating(x)
    bits = uniform_bits(as_key(key), tuple(drawn_shape(x.shape, broadcast_dims)))
    # The middle of each of 2²³ intervals of (−1, 1), so that no draw is infinite.
    uniform = (bits >> 9).astype(float) * 2.0**-22 + (2.0**-23 - 1)
    normal = jnp.sqrt(2.0) * jax.scipy.special.erfinv(uniform)
    rate = jnp.asarray(rate, float)
    factor = 1 + jnp.sqrt(rate / (1 - rate)) * normal
    return (x * factor).astype(x.dtype)


def alpha_dropout(
    key: Any, x: jax.Array, rate: float | jax.Array, *, broadcast_dims: Sequence[int] = ()
) -> jax.Array:
    r"""Set entries to SELU's lowest value, and rescale so that mean 0 and variance 1 are kept.

    $$y_i = a\,(m_i x_i + (1 - m_i)\,\alpha') + b, \qquad m_i \sim \mathrm{Bernoulli}(q), \quad
    q = 1 - r, \quad \alpha' = -\lambda\alpha \approx -1.758$$

    $$a = \bigl(q + \alpha'^2 q (1 - q)\bigr)^{-1/2}, \qquad b = -a\,(1 - q)\,\alpha'$$

    Use it behind SELU with `lecun_normal` weights, where units have mean 0 and variance 1.
    Evaluation changes nothing.

    Args:
      key: a key, see `jaxnn.keys.as_key`.
      x: array of a floating dtype, of any shape.
      rate: r, the probability of dropping, in [0, 1); a float or a traced scalar. The paper uses
        0.05 and 0.1.
      broadcast_dims: axes of `x` along which one draw is shared.

    Returns:
      Array of `x`'s shape and dtype.

    Raises:
      ValueError: if a concrete `rate` lies outside [0, 1), or `x` lacks one of the axes.

    >>> x = jax.random.normal(jax.random.key(0), (10_000,))
    >>> y = alpha_dropout(jax.random.key(1), x, 0.1)
    >>> abs(round(float(y.mean()), 1)), round(float(y.std()), 1)
    (0.0, 1.0)

    Source: Klambauer et al. 2017.
    """
    check_knob("rate", rate, 0, 1, high_open=True)
    x = _floating(x)
    mask = keep_mask(key, drawn_shape(x.shape, broadcast_dims), rate)
    keep = 1 - jnp.asarray(rate, float)
    a = 1 / jnp.sqrt(keep + _LOWEST**2 * keep * (1 - keep))
    b = -a * (1 - keep) * _LOWEST
    return (a * jnp.where(mask, x, jnp.asarray(_LOWEST, x.dtype)) + b).astype(x.dtype)


def _floating(x: jax.Array) -> jax.Array:
    x = numbers("x", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be floating, got {x.dtype}")
    return x


class _Noise(nn.Module):
    rate: float | jax.Array
    broadcast_dims: Sequence[int] = ()
    rng_collection: str = "dropout"

    def __post_init__(self) -> None:
        check_knob("rate", self.rate, 0, 1, high_open=True)
        check_broadcast_dims(self.broadcast_dims)
        check_text("rng_collection", self.rng_collection)
        super().__post_init__()


class GaussianDropout(_Noise):
    """`gaussian_dropout` as a layer that draws from the stream "dropout" in training.

    Attributes:
      rate: in [0, 1); a float or a traced scalar.
      broadcast_dims: axes of the input along which one draw is shared.
      rng_collection: name of the stream.

    Raises:
      ValueError: if a concrete rate lies outside [0, 1).

    >>> GaussianDropout(0.5).apply({}, jnp.ones(3))
    Array([1., 1., 1.], dtype=float32)

    Source: Srivastava et al. 2014, section 10.
    """

    @checked_inputs()
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if not check_flag("train", train):
            return x
        key = self.make_rng(self.rng_collection)
        return gaussian_dropout(key, x, self.rate, broadcast_dims=self.broadcast_dims)


class AlphaDropout(_Noise):
    """`alpha_dropout` as a layer that draws from the stream "dropout" in training.

    Attributes:
      rate: probability of dropping, in [0, 1); a float or a traced scalar.
      broadcast_dims: axes of the input along which one draw is shared.
      rng_collection: name of the stream.

    Raises:
      ValueError: if a concrete rate lies outside [0, 1).

    >>> AlphaDropout(0.1).apply({}, jnp.ones(3))
    Array([1., 1., 1.], dtype=float32)

    Source: Klambauer et al. 2017.
    """

    @checked_inputs()
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if not check_flag("train", train):
            return x
        key = self.make_rng(self.rng_collection)
        return alpha_dropout(key, x, self.rate, broadcast_dims=self.broadcast_dims)
