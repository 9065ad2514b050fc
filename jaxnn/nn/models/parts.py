"""What the models share: their arguments, and what stands between two layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

from jaxnn.arguments import check_choice, check_knob, check_positive_int
from jaxnn.nn.activations.table import Activation, activation
from jaxnn.nn.initializers.basic import Initializer, initializer_for, zeros
from jaxnn.nn.layers.dropout import Dropout
from jaxnn.nn.layers.norm import BatchNorm, GroupNorm, LayerNorm
from jaxnn.nn.layers.product import dot_general
from jaxnn.nn.taps import layer_path, tap

__all__ = ["Network", "Normalization"]

Normalization = str | Callable[[], nn.Module]
"""A name in `NORMALIZATIONS`, or what makes a layer, such as `partial(BatchNorm, momentum=0.9)`."""

NORMALIZATIONS: dict[str, Callable[[], nn.Module]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "group": GroupNorm,
}


class Network(nn.Module, kw_only=True):
    """The arguments of every model, checked when it is made."""

    activation: str | Activation = "relu"
    dropout_rate: float | jax.Array | None = None
    normalization: Normalization | None = None
    normalize_after: bool = False
    kernel_init: Initializer | None = None
    bias_init: Initializer = zeros()
    param_dtype: Any = float

    def __post_init__(self) -> None:
        activation(self.activation)
        check_rate("dropout_rate", self.dropout_rate)
        if isinstance(self.normalization, nn.Module):
            raise TypeError(
                "normalization must be a name or a function that makes a layer, since each place "
                f"needs one of its own, got {self.normalization!r}"
            )
        if self.normalization is not None and not callable(self.normalization):
            check_choice("normalization", self.normalization, tuple(NORMALIZATIONS))
        super().__post_init__()

    def activate(
        self, layer: nn.Module, x: jax.Array, *, train: bool, weight: jax.Array | None
    ) -> jax.Array:
        """Apply a layer, then activation and normalization in the order asked for."""
        x = layer(x)
        if not self.normalize_after:
            x = self.normalize(x, train=train, weight=weight)
        x = self.phi(layer, x)
        if self.normalize_after:
            x = self.normalize(x, train=train, weight=weight)
        return x

    def phi(self, layer: nn.Module, x: jax.Array) -> jax.Array:
        """Apply the activation function, with taps before and behind it."""
        path = layer_path(layer)
        x = tap(path, x, site="preactivation")
        return tap(path, activation(self.activation)(x), site="activation")

    def normalize(self, x: jax.Array, *, train: bool, weight: jax.Array | None) -> jax.Array:
        """One more normalization layer, where the model has any."""
        if self.normalization is None:
            return x
        make = self.normalization
        layer = NORMALIZATIONS[make]() if isinstance(make, str) else make()
        if isinstance(layer, BatchNorm):
            return layer(x, train=train, weight=weight)
        return layer(x)

    def drop(self, x: jax.Array, rate: float | jax.Array | None, *, train: bool) -> jax.Array:
        """Dropout, where there is any."""
        return x if rate is None else Dropout(rate)(x, train=train)

    def dense(self, features: int) -> nn.Module:
        """Make a dense layer for an activation behind it."""
        init = self.kernel_init or initializer_for(self.activation)
        return nn.Dense(
            features,
            kernel_init=init,
            bias_init=self.bias_init,
            param_dtype=self.param_dtype,
            dot_general=dot_general,
        )

    def logits(self, x: jax.Array, features: int) -> jax.Array:
        """The last layer, which is linear."""
        init = self.kernel_init or initializer_for("softmax")
        return nn.Dense(
            features, kernel_init=init, param_dtype=self.param_dtype, dot_general=dot_general
        )(x)


def check_rate(name: str, rate: Any) -> None:
    """Refuse a concrete probability of dropping outside [0, 1)."""
    if rate is not None:
        check_knob(name, rate, 0, 1, high_open=True)


def check_widths(name: str, widths: Any) -> None:
    """Refuse what is not a sequence of positive integers.

    >>> check_widths("widths", (100, 10))
    """
    if not isinstance(widths, Sequence) or isinstance(widths, str):
        raise TypeError(f"{name} must be a sequence of integers, got {widths!r}")
    for width in widths:
        check_positive_int(name, width)
