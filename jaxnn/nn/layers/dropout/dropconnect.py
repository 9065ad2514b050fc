"""DropConnect: a dense layer that drops weights instead of units."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jaxnn.arguments import check_choice, check_flag, check_knob, check_positive_int, check_text
from jaxnn.nn.checks import check_dtype, check_initializer, checked_inputs
from jaxnn.nn.initializers.basic import Initializer, he_normal, zeros
from jaxnn.nn.layers.dropout.dropout import SCALES, dropout, times_keep

__all__ = ["DropConnect"]


class DropConnect(nn.Module):
    r"""A dense layer that drops each of its weights with probability `rate` in training.

    $$y = x\,\frac{M \odot W}{1 - r} + b, \qquad M_{ij} \sim \mathrm{Bernoulli}(1 - r)$$

    Evaluation uses the mean of the weights, W. `scale_at="test"` is the other convention:
    $M \odot W$ in training and $(1-r)W$ in evaluation.

    The paper draws a mask for each example and drops biases as well. In evaluation it draws the
    inputs of the units from a normal distribution of matching mean and variance. Here biases are
    kept, evaluation uses the mean alone, and a mask for each example is optional, since it
    needs memory for examples × inputs × features weights.

    Attributes:
      features: number of outputs.
      rate: probability of dropping a weight, in [0, 1); a float or a traced scalar.
      scale_at: "train" or "test": the mode that applies the factor 1 - rate, as in `Dropout`.
      per_example: whether each example draws its own mask; otherwise the batch shares one.
      use_bias: whether a bias is added.
      kernel_init: `(key, shape, dtype) -> array`; None means `he_normal()`. Biases start at 0.
      param_dtype: dtype of the parameters. `float` means float32, or float64 where x64 is on.
      rng_collection: name of the stream.

    Inputs of shape (…, inputs) give outputs of shape (…, features). The parameters have
    the names and shapes of `flax.linen.Dense`.

    Raises:
      ValueError: if a concrete rate lies outside [0, 1), `scale_at` is neither of the two, or
        `features` is not a positive integer.

    >>> layer = DropConnect(10, 0.5)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((1, 64)))
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'bias': (10,), 'kernel': (64, 10)}
    >>> rngs = {"dropout": jax.random.key(1)}
    >>> layer.apply(variables, jnp.ones((32, 64)), train=True, rngs=rngs).shape
    (32, 10)

    Source: Wan et al. 2013; lecture L.
    """

    features: int
    rate: float | jax.Array
    scale_at: str = "train"
    per_example: bool = False
    use_bias: bool = True
    kernel_init: Initializer | None = None
    param_dtype: Any = float
    rng_collection: str = "dropout"

    def __post_init__(self) -> None:
        check_positive_int("features", self.features)
        check_knob("rate", self.rate, 0, 1, high_open=True)
        check_choice("scale_at", self.scale_at, SCALES)
        check_flag("per_example", self.per_example)
        check_flag("use_bias", self.use_bias)
        check_initializer("kernel_init", self.kernel_init, none=True)
        check_dtype("param_dtype", self.param_dtype)
        check_text("rng_collection", self.rng_collection)
        super().__post_init__()

    @nn.compact
    @checked_inputs(axes=1)
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if x.ndim < 1:
            raise ValueError("x must be (..., inputs), got a single number")
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init or he_normal(), shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", zeros(), (self.features,), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias)
        if check_flag("train", train):
            y = self._with_dropped(x, kernel)
        else:
            y = jnp.dot(x, kernel if self.scale_at == "train" else times_keep(kernel, self.rate))
        return y if bias is None else y + jnp.expand_dims(bias, tuple(range(y.ndim - 1)))

    def _with_dropped(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        if self.per_example:
            kernel = jnp.broadcast_to(kernel, (*x.shape[:-1], *kernel.shape))
        key, scaled = self.make_rng(self.rng_collection), self.scale_at == "train"
        kernel = dropout(key, kernel, self.rate, scaled=scaled)
        return jnp.einsum("...i,...io->...o", x, kernel) if self.per_example else jnp.dot(x, kernel)
