"""Models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from jaxnn.arguments import check_knob, check_positive_int
from jaxnn.nn.activations import Activation, activation
from jaxnn.nn.dropout import Dropout
from jaxnn.nn.initializers import Initializer, initializer_for

__all__ = ["MLP"]


class MLP(nn.Module):
    r"""Multi-layer perceptron: dense layers with an activation and dropout between them.

    $$h_0 = x, \quad h_l = \mathrm{dropout}(\phi(h_{l-1} W_l + b_l)), \quad y = h_{L-1} W_L + b_L$$

    The last layer is linear; its outputs are logits, or predictions of a regression.

    Attributes:
      widths: units of each layer, the last being the number of outputs.
      activation: a name in `jaxnn.nn.ACTIVATIONS`, or a function of one array.
      dropout_rate: probability of dropping a hidden unit, in [0, 1); a float or a traced
        scalar. None: no dropout, and nothing is drawn. 0.0 still draws.
      kernel_init: `(key, shape, dtype) -> array`. None: what suits the activation (He for
        ReLU, Glorot for tanh, and Glorot for the last layer). Biases start at 0.
      param_dtype: of the parameters. `float` is float32, and float64 where x64 is on.

    Inputs of shape (…, features) give outputs of shape (…, widths[-1]).

    Raises:
      ValueError: no widths, a width that is not a positive integer, an unknown activation,
        a concrete rate outside [0, 1).

    >>> import jax.numpy as jnp
    >>> model = MLP((100, 100, 10), dropout_rate=0.5)
    >>> variables = model.init(jax.random.key(0), jnp.ones((1, 64)))
    >>> model.apply(variables, jnp.ones((32, 64))).shape
    (32, 10)
    """

    widths: Sequence[int]
    activation: str | Activation = "relu"
    dropout_rate: float | jax.Array | None = None
    kernel_init: Initializer | None = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        if not isinstance(self.widths, Sequence):
            raise TypeError(f"widths must be a sequence of integers, got {self.widths!r}")
        if not self.widths:
            raise ValueError("widths must name at least the number of outputs, got none")
        for width in self.widths:
            check_positive_int("widths", width)
        activation(self.activation)
        if self.dropout_rate is not None:
            check_knob("dropout_rate", self.dropout_rate, 0, 1, high_open=True)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        phi = activation(self.activation)
        *hidden, outputs = self.widths
        for width in hidden:
            x = phi(self._dense(width, self.activation)(x))
            if self.dropout_rate is not None:
                x = Dropout(self.dropout_rate)(x, train=train)
        return self._dense(outputs, "softmax")(x)

    def _dense(self, width: int, behind: str | Activation) -> nn.Dense:
        return nn.Dense(
            width,
            kernel_init=self.kernel_init or initializer_for(behind),
            param_dtype=self.param_dtype,
        )
