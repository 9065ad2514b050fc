"""Inverted dropout, as a pure function and as a Linen module."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob

__all__ = ["Dropout", "dropout"]


def dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    r"""Drop each entry with probability `rate` and divide the kept ones by $1 - \text{rate}$.

    $$y_i = \frac{m_i\, x_i}{1 - r}, \qquad m_i \sim \mathrm{Bernoulli}(1 - r)$$

    so that the expectation is unchanged and nothing is to be done at test time. The draw
    does not depend on the rate, only the threshold does: under `vmap` over rates with one
    key the bits are drawn once, and a unit dropped at one rate is dropped at every higher.

    Args:
      key: scalar typed key.
      x: array of any shape.
      rate: probability of dropping, in [0, 1); a float or a traced scalar. At 0 the
        output is `x` itself, bit for bit. (Lecture N's p is the probability of keeping.)

    Returns:
      Array of `x`'s shape and dtype.

    Raises:
      ValueError: a concrete `rate` outside [0, 1).

    >>> dropout(jax.random.key(2), jnp.ones(8), 0.75)
    Array([0., 0., 4., 0., 0., 4., 0., 4.], dtype=float32)

    Source: Srivastava et al. 2014; lectures L and N.
    """
    check_knob("rate", rate, 0, 1, high_open=True)
    keep = 1 - jnp.asarray(rate, dtype=float)
    # In float32 at least, whatever x's dtype: in bfloat16 a rate near 1 would round to 1.
    mask = jax.random.uniform(key, x.shape, keep.dtype) < keep
    # A traced rate of 1, which nobody can refuse, drops all and has a gradient of 0, not NaN.
    safe = jnp.where(keep > 0, keep, 1)
    return jnp.where(mask, (x / safe).astype(x.dtype), jnp.zeros((), x.dtype))


class Dropout(nn.Module):
    """`dropout` as a layer that draws from the stream "dropout" in training.

    The layer's path in the model is part of the draw's address.

    Attributes:
      rate: probability of dropping, in [0, 1); a float or a traced scalar.

    >>> layer = Dropout(0.5)
    >>> layer.apply({}, jnp.ones(4))
    Array([1., 1., 1., 1.], dtype=float32)
    >>> rngs = {"dropout": jax.random.key(0)}
    >>> bool(jnp.isin(layer.apply({}, jnp.ones(4), train=True, rngs=rngs), jnp.array([0, 2])).all())
    True
    """

    rate: float | jax.Array

    def __post_init__(self) -> None:
        check_knob("rate", self.rate, 0, 1, high_open=True)
        super().__post_init__()

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        return dropout(self.make_rng("dropout"), x, self.rate) if train else x
