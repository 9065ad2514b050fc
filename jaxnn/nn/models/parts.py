"""What the models share: their arguments, and what stands between two layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import flax.linen as nn
import jax

from jaxnn.arguments import check_choice, check_flag, check_knob, check_positive_int
from jaxnn.nn.activations.bounds import bounds_of
from jaxnn.nn.activations.table import ACTIVATIONS, Activation, activation
from jaxnn.nn.checks import check_dtype, check_initializer
from jaxnn.nn.initializers.basic import Initializer, zeros
from jaxnn.nn.initializers.suited import initializer_for
from jaxnn.nn.layers.dropout.dropout import Dropout
from jaxnn.nn.layers.norm.batch import BatchNorm
from jaxnn.nn.layers.norm.group import GroupNorm
from jaxnn.nn.layers.norm.layer import LayerNorm, RMSNorm
from jaxnn.nn.layers.product import dot_general
from jaxnn.nn.modes import keywords_of
from jaxnn.nn.taps import layer_path, tap

__all__ = ["Network", "Normalization", "Rate", "check_rate", "check_widths"]

Normalization = str | Callable[[], nn.Module]
"""A name in `NORMALIZATIONS`, or what makes a layer, such as `partial(BatchNorm, momentum=0.9)`."""

Rate = float | jax.Array | None

NORMALIZATIONS: dict[str, Callable[..., nn.Module]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "rms": RMSNorm,
    "group": GroupNorm,
}


class Network(nn.Module, kw_only=True):
    """The arguments of every model, checked when it is made."""

    MORE_ACTIVATIONS: ClassVar[tuple[str, ...]] = ()  # beside those in the table

    activation: str | Activation = "relu"
    dropout_rate: Any = None
    normalization: Normalization | None = None
    normalize_after: bool = False
    kernel_init: Initializer | None = None
    bias_init: Initializer = zeros()
    param_dtype: Any = float

    def __post_init__(self) -> None:
        if not callable(self.activation):
            check_choice("activation", self.activation, (*ACTIVATIONS, *self.MORE_ACTIVATIONS))
        check_initializer("kernel_init", self.kernel_init, none=True)
        check_initializer("bias_init", self.bias_init)
        check_dtype("param_dtype", self.param_dtype)
        check_flag("normalize_after", self.normalize_after)
        if isinstance(self.normalization, nn.Module):
            raise TypeError(
                "normalization must be a name or a function that makes a layer, since each place "
                f"needs one of its own, got {self.normalization!r}"
            )
        if self.normalization is not None and not callable(self.normalization):
            check_choice("normalization", self.normalization, tuple(NORMALIZATIONS))
        super().__post_init__()

    def activate(
        self,
        make: Callable[[bool], nn.Module],
        x: jax.Array,
        *,
        train: bool,
        weight: jax.Array | None,
    ) -> jax.Array:
        """Apply a layer, then activation and normalization in the order asked for.

        Args:
          make: `use_bias -> layer`. A layer has no bias where batch normalization follows at
            once: it subtracts the mean, and the bias with it.
          x: inputs.
          train: whether the model trains.
          weight: how much each row counts.
        """
        normalize = self.make_normalization()
        subtracts = isinstance(normalize, (BatchNorm, nn.BatchNorm))
        layer = make(self.normalize_after or not subtracts)
        x = layer(x)
        if self.normalize_after:
            return self.normalize(normalize, self.phi(layer, x), train=train, weight=weight)
        return self.phi(layer, self.normalize(normalize, x, train=train, weight=weight))

    def phi(self, layer: nn.Module, x: jax.Array) -> jax.Array:
        """Apply the activation function, with taps before and behind it."""
        path = layer_path(layer)
        x = tap(path, x, site="preactivation")
        bounds = bounds_of(self.activation)
        return tap(path, self.activated(x), site="activation", bounds=bounds)

    def activated(self, x: jax.Array) -> jax.Array:
        """Apply the activation function."""
        return activation(self.activation)(x)

    def make_normalization(self) -> nn.Module | None:
        """Make one more normalization layer, where the model has any."""
        make = self.normalization
        if make is None:
            return None
        make = NORMALIZATIONS[make] if isinstance(make, str) else make
        kind = make.func if isinstance(make, partial) else make
        given = make.keywords if isinstance(make, partial) else {}
        fields = getattr(kind, "__dataclass_fields__", {})
        if "param_dtype" in fields and "param_dtype" not in given:
            make = partial(make, param_dtype=self.param_dtype)
        made = make()
        if not isinstance(made, nn.Module):
            raise TypeError(f"normalization must make a Linen layer, got {made!r} from it")
        return made

    def normalize(
        self, layer: nn.Module | None, x: jax.Array, *, train: bool, weight: jax.Array | None
    ) -> jax.Array:
        """Normalize, where the model has a normalization, which is told mode and weights."""
        if layer is None:
            return x
        return layer(x, **keywords_of(type(layer).__call__, train=train, weight=weight))

    def drop(self, x: jax.Array, rate: Rate, *, train: bool, scale_at: str = "train") -> jax.Array:
        """Dropout, where there is any."""
        return x if rate is None else Dropout(rate, scale_at=scale_at)(x, train=train)

    def logits(self, x: jax.Array, features: int) -> jax.Array:
        """Apply the last layer, which is linear."""
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
    if not isinstance(widths, Sequence) or isinstance(widths, (str, bytes)):
        raise TypeError(f"{name} must be a sequence of integers, got {widths!r}")
    for width in widths:
        check_positive_int(name, width)
