"""Dropout, inverted and vanilla, as a pure function and as a Linen module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_choice, check_flag, check_knob, check_text
from jaxnn.keys import as_key
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.layers.draws import uniform_bits

__all__ = [
    "SCALES",
    "Dropout",
    "check_broadcast_dims",
    "drawn_shape",
    "dropout",
    "keep_mask",
    "times_keep",
]

SCALES = ("train", "test")


def keep_mask(key: Any, shape: Sequence[int], rate: float | jax.Array) -> jax.Array:
    r"""Draw a Boolean mask that is true with probability $1 - \text{rate}$.

    The random bits do not depend on the rate, only the threshold does. So under `vmap` over
    rates with one key the bits are drawn once, and an entry dropped at one rate is dropped at
    every higher rate. The rate is accurate to $2^{-32}$, see
    `jaxnn.nn.layers.draws.uniform_bits`.

    Args:
      key: a key, see `jaxnn.keys.as_key`.
      shape: shape of the mask; the first axis is the batch.
      rate: probability of dropping, in [0, 1); a float or a traced scalar. A traced rate of 1
        or more cannot be refused, and drops every entry.

    Returns:
      Boolean array.

    >>> keep_mask(jax.random.key(2), (2, 4), 0.5)
    Array([[ True,  True,  True,  True],
           [ True, False, False,  True]], dtype=bool)
    """
    # float32 or wider: in bfloat16 a rate near 1 would round to 1.
    rate = jnp.asarray(rate, dtype=float)
    below_1 = jnp.clip(rate, 0, 1 - float(jnp.finfo(rate.dtype).epsneg))
    threshold = (below_1 * 2.0**32).astype(jnp.uint32)
    return (uniform_bits(as_key(key), tuple(shape)) >= threshold) & (rate < 1)


def dropout(
    key: Any,
    x: jax.Array,
    rate: float | jax.Array,
    *,
    scaled: bool = True,
    broadcast_dims: Sequence[int] = (),
) -> jax.Array:
    r"""Drop each entry with probability `rate` and divide the kept ones by $1 - \text{rate}$.

    $$y_i = \frac{m_i\, x_i}{1 - r}, \qquad m_i \sim \mathrm{Bernoulli}(1 - r)$$

    This inverted dropout keeps the expectation, so that evaluation changes nothing. Vanilla
    dropout, `scaled=False`, is $y_i = m_i x_i$, and evaluation multiplies by $1 - r$ instead.
    The mask comes from `keep_mask`: its bits do not depend on the rate.

    The rate is the probability of dropping, as p is in lecture L. Lecture N's p is the
    probability of keeping. Lecture C's formula and its factor p at test time also keep with
    probability p, although its sentence drops a fraction p: for C's formula, pass 1 - p.

    Args:
      key: a key, see `jaxnn.keys.as_key`.
      x: array of any shape.
      rate: probability of dropping, in [0, 1); a float or a traced scalar. At 0 the
        output is `x` itself, bit for bit.
      scaled: whether the kept entries are divided by 1 - rate.
      broadcast_dims: axes of `x` along which one draw is shared, as in Flax: (1, 2)
        drops whole channels of images of shape (batch, height, width, channels).

    Returns:
      Array of `x`'s shape and dtype.

    Raises:
      ValueError: if a concrete `rate` lies outside [0, 1), or `x` lacks one of the axes.

    >>> dropout(jax.random.key(2), jnp.ones(8), 0.75)
    Array([0., 0., 4., 0., 0., 0., 0., 0.], dtype=float32)

    Source: Srivastava et al. 2014; lectures C, L and N. Whole channels: Tompson et al. 2015.
    """
    check_knob("rate", rate, 0, 1, high_open=True)
    check_flag("scaled", scaled)
    x = numbers("x", x)
    mask = keep_mask(key, drawn_shape(x.shape, broadcast_dims), rate)
    kept = _over_keep(x, rate) if scaled else x
    return jnp.where(mask, kept, jnp.zeros((), x.dtype))


def drawn_shape(shape: Sequence[int], broadcast_dims: Sequence[int]) -> list[int]:
    """Return the shape of the draws: 1 along the axes on which one draw is shared.

    >>> drawn_shape((8, 28, 28, 3), (1, 2))
    [8, 1, 1, 3]
    """
    check_broadcast_dims(broadcast_dims)
    drawn = list(shape)
    for axis in broadcast_dims:
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"broadcast_dims must be axes of shape {tuple(shape)}, got {axis}")
        drawn[axis] = 1
    return drawn


def check_broadcast_dims(broadcast_dims: Any) -> None:
    """Refuse what is not a sequence of integers."""
    integers = isinstance(broadcast_dims, (list, tuple)) and all(
        isinstance(axis, (int, np.integer)) and not isinstance(axis, bool)
        for axis in broadcast_dims
    )
    if not integers:
        raise TypeError(f"broadcast_dims must be a sequence of integers, got {broadcast_dims!r}")


def _over_keep(x: jax.Array, rate: float | jax.Array) -> jax.Array:
    keep = 1 - jnp.asarray(rate, dtype=float)
    # A traced rate of 1 drops every entry; its gradient must be 0, not NaN.
    return (x / jnp.where(keep > 0, keep, 1)).astype(x.dtype)


def times_keep(x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Multiply `x` by 1 - rate, as vanilla dropout does in evaluation.

    >>> times_keep(jnp.ones(2), 0.25)
    Array([0.75, 0.75], dtype=float32)
    """
    return (x * (1 - jnp.asarray(rate, dtype=float))).astype(x.dtype)


class Dropout(nn.Module):
    """`dropout` as a layer that draws from the stream "dropout" in training.

    It works on the inputs of a model as well as on hidden units. The layer's path in the model is
    part of the address of its draws.

    Attributes:
      rate: probability of dropping, in [0, 1); a float or a traced scalar.
      scale_at: "train" divides the kept entries by 1 - rate in training (inverted dropout, as
        in Flax, Keras and PyTorch); "test" multiplies by 1 - rate in evaluation instead
        (vanilla dropout).
      broadcast_dims: axes of the input along which one draw is shared.
      rng_collection: name of the stream.

    Raises:
      ValueError: if a concrete rate lies outside [0, 1), or `scale_at` is neither of the two.

    >>> layer = Dropout(0.5)
    >>> layer.apply({}, jnp.ones(4))
    Array([1., 1., 1., 1.], dtype=float32)
    >>> rngs = {"dropout": jax.random.key(0)}
    >>> bool(jnp.isin(layer.apply({}, jnp.ones(4), train=True, rngs=rngs), jnp.array([0, 2])).all())
    True
    >>> Dropout(0.25, scale_at="test").apply({}, jnp.ones(4))
    Array([0.75, 0.75, 0.75, 0.75], dtype=float32)
    """

    rate: float | jax.Array
    scale_at: str = "train"
    broadcast_dims: Sequence[int] = ()
    rng_collection: str = "dropout"

    def __post_init__(self) -> None:
        check_knob("rate", self.rate, 0, 1, high_open=True)
        check_choice("scale_at", self.scale_at, SCALES)
        check_broadcast_dims(self.broadcast_dims)
        check_text("rng_collection", self.rng_collection)
        super().__post_init__()

    @checked_inputs()
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        inverted = self.scale_at == "train"
        if not check_flag("train", train):
            return x if inverted else times_keep(x, self.rate)
        return dropout(
            self.make_rng(self.rng_collection),
            x,
            self.rate,
            scaled=inverted,
            broadcast_dims=self.broadcast_dims,
        )
