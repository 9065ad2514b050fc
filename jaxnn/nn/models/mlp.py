"""Dense networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import partial
from typing import Any

import flax.linen as nn
import jax

from jaxnn.arguments import check_flag, check_positive_int
from jaxnn.nn.checks import check_dtype, check_initializer, checked_inputs
from jaxnn.nn.initializers.basic import Initializer
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layers.product import dot_general
from jaxnn.nn.models.parts import check_rate, check_widths
from jaxnn.nn.models.plain import PlainNetwork, Rates, rates_of

__all__ = ["MLP", "LogisticRegression"]


class LogisticRegression(nn.Module):
    r"""Softmax (multinomial logistic) regression: one linear map, $z = x W + b$.

    Attributes:
      classes: number of outputs, the logits.
      kernel_init: `(key, shape, dtype) -> array`. None: Glorot, as suits a softmax. The loss is
        convex, so `zeros()` serves as well here, though in no deeper model.
      param_dtype: dtype of the parameters.

    Inputs of shape (…, features) give logits of shape (…, classes).

    Raises:
      ValueError: if `classes` is not a positive integer.

    >>> import jax.numpy as jnp
    >>> model = LogisticRegression(10)
    >>> variables = model.init(jax.random.key(0), jnp.ones((1, 784)))
    >>> model.apply(variables, jnp.ones((32, 784))).shape
    (32, 10)

    Source: lectures C and L.
    """

    classes: int
    kernel_init: Initializer | None = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_positive_int("classes", self.classes)
        check_initializer("kernel_init", self.kernel_init, none=True)
        check_dtype("param_dtype", self.param_dtype)
        super().__post_init__()

    @nn.compact
    @checked_inputs(axes=1)
    def __call__(self, x: jax.Array) -> jax.Array:
        init = self.kernel_init or initializer_for("softmax")
        return nn.Dense(
            self.classes, kernel_init=init, param_dtype=self.param_dtype, dot_general=dot_general
        )(x)


class MLP(PlainNetwork):
    r"""Multi-layer perceptron: dense layers with an activation and dropout between them.

    $$h_0 = x, \quad h_l = \mathrm{dropout}(\phi(h_{l-1} W_l + b_l)), \quad y = h_{L-1} W_L + b_L$$

    The last layer is linear; its outputs are logits, or predictions of a regression.

    Attributes:
      widths: units of each layer, the last being the number of outputs.
      activation: a name in `jaxnn.nn.ACTIVATIONS`, or a function of one array; or "maxout", where
        each unit is the largest of several linear maps.
      maxout_pieces: number of linear maps for each unit of maxout. None: 2.
      dropout_rate: probability of dropping a hidden unit, in [0, 1); a float or a traced scalar.
        A tuple has a rate for each hidden layer. None, alone or in the tuple: no dropout there,
        and nothing is drawn. 0.0 still draws.
      input_dropout_rate: the rate for the inputs, a float, a traced scalar or None.
      dropout_scale_at: "train" for inverted dropout, "test" for vanilla dropout; see
        `jaxnn.nn.Dropout`.
      normalization: "batch", "layer", "rms" or "group" between layer and activation, or a
        function that makes such a layer, as `partial(jaxnn.nn.BatchNorm, momentum=0.9)`. None:
        none. A layer that batch normalization follows at once has no bias: the normalization
        would subtract it, and its gradient would be nothing but rounding.
      normalize_after: whether the normalization stands behind the activation instead.
      kernel_init: `(key, shape, dtype) -> array`. None: what suits the activation (He for ReLU,
        Glorot for tanh, and Glorot for the last layer).
      bias_init: initializer of the hidden layers' biases, where they have any;
        `jaxnn.nn.constant(0.01)` makes fewer ReLUs inactive at the start.
      param_dtype: dtype of the parameters, those of the normalization included. `float` is
        float32, and float64 where x64 is on.

    Inputs of shape (…, features) give outputs of shape (…, widths[-1]). `weight` (n,) tells
    batch normalization which rows count.

    Raises:
      ValueError: if there are no widths, a width is not a positive integer, an activation or
        normalization is unknown, or a concrete rate lies outside [0, 1).

    >>> import jax.numpy as jnp
    >>> model = MLP((100, 100, 10), dropout_rate=0.5)
    >>> variables = model.init(jax.random.key(0), jnp.ones((1, 64)))
    >>> model.apply(variables, jnp.ones((32, 64))).shape
    (32, 10)

    Source: lectures C, L, M and S.
    """

    widths: Sequence[int]
    dropout_rate: Rates = field(default=None, kw_only=True)
    input_dropout_rate: float | jax.Array | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_widths("widths", self.widths)
        if not self.widths:
            raise ValueError("widths must name at least the number of outputs, got none")
        rates_of("dropout_rate", self.dropout_rate, len(self.widths) - 1)
        check_rate("input_dropout_rate", self.input_dropout_rate)
        super().__post_init__()

    @nn.compact
    @checked_inputs(axes=1)
    def __call__(
        self, x: jax.Array, *, train: bool = False, weight: jax.Array | None = None
    ) -> jax.Array:
        check_flag("train", train)
        *hidden, outputs = self.widths
        rates = rates_of("dropout_rate", self.dropout_rate, len(hidden))
        x = self.dropped(x, self.input_dropout_rate, train=train)
        for width, rate in zip(hidden, rates, strict=True):
            x = self.activate(partial(self.dense, width), x, train=train, weight=weight)
            x = self.dropped(x, rate, train=train)
        return self.logits(x, outputs)
