"""What the models without shortcuts share: maxout, and dropout with a rate for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax

from jaxnn.arguments import check_choice, check_positive_int
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layers.dropout.dropout import SCALES
from jaxnn.nn.layers.product import dot_general
from jaxnn.nn.models.parts import Network, Rate, check_rate

__all__ = ["PlainNetwork", "Rates", "rates_of"]

Rates = Rate | Sequence[Rate]
"""A rate of dropout for all layers, or one for each; None: no dropout."""


class PlainNetwork(Network, kw_only=True):
    """The arguments of networks that are a chain of layers."""

    MORE_ACTIVATIONS: ClassVar[tuple[str, ...]] = ("maxout",)

    maxout_pieces: int | None = None
    dropout_scale_at: str = "train"

    def __post_init__(self) -> None:
        check_choice("dropout_scale_at", self.dropout_scale_at, SCALES)
        if self.maxout_pieces is not None:
            check_positive_int("maxout_pieces", self.maxout_pieces)
            if self.activation != "maxout":
                raise ValueError(
                    'maxout_pieces is for activation="maxout" alone, got activation='
                    f"{self.activation!r}"
                )
        super().__post_init__()

    @property
    def pieces(self) -> int:
        """Return the number of linear maps for each unit."""
        return (self.maxout_pieces or 2) if self.activation == "maxout" else 1

    def activated(self, x: jax.Array) -> jax.Array:
        """Apply the activation function, or take the largest of each unit's maps."""
        if self.activation != "maxout":
            return super().activated(x)
        return x.reshape(*x.shape[:-1], -1, self.pieces).max(axis=-1)

    def dense(self, features: int, use_bias: bool = True) -> nn.Module:
        """Make a dense layer for an activation behind it."""
        return nn.Dense(
            features * self.pieces,
            use_bias=use_bias,
            kernel_init=self.kernel_init or initializer_for(self.activation),
            bias_init=self.bias_init,
            param_dtype=self.param_dtype,
            dot_general=dot_general,
        )

    def dropped(self, x: jax.Array, rate: Rate, *, train: bool) -> jax.Array:
        """Dropout, where there is any, in the convention that is asked for."""
        return self.drop(x, rate, train=train, scale_at=self.dropout_scale_at)


def rates_of(name: str, rates: Any, layers: int) -> tuple[Rate, ...]:
    """Expand a rate of dropout to one for each layer.

    Raises:
      ValueError: if a concrete rate lies outside [0, 1), or there are more or fewer than layers.

    >>> rates_of("dropout_rate", 0.5, 2), rates_of("dropout_rate", (None, 0.5), 2)
    ((0.5, 0.5), (None, 0.5))
    """
    if not isinstance(rates, (list, tuple)):
        check_rate(name, rates)
        return (rates,) * layers
    if len(rates) != layers:
        raise ValueError(
            f"{name} must be one rate, or one for each of the {layers} layers that drop, "
            f"got {len(rates)}: {rates!r}"
        )
    for rate in rates:
        check_rate(name, rate)
    return tuple(rates)
