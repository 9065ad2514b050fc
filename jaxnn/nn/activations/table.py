"""The table of activation functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax

from jaxnn.arguments import check_choice
from jaxnn.nn.activations.gates import gelu, gelu_tanh, hard_silu, hard_swish, mish, silu, swish
from jaxnn.nn.activations.rectifiers import (
    celu,
    elu,
    identity,
    leaky_relu,
    relu,
    relu6,
    selu,
    softplus,
)
from jaxnn.nn.activations.sigmoids import (
    hard_sigmoid,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    sigmoid,
    soft_sign,
    softmax,
    tanh,
)
from jaxnn.nn.activations.sparsemax import sparsemax

__all__ = ["ACTIVATIONS", "Activation", "activation", "activation_name"]

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "relu": relu,
        "relu6": relu6,
        "leaky_relu": leaky_relu,
        "elu": elu,
        "celu": celu,
        "selu": selu,
        "softplus": softplus,
        "gelu": gelu,
        "gelu_tanh": gelu_tanh,
        "silu": silu,
        "swish": swish,
        "hard_silu": hard_silu,
        "hard_swish": hard_swish,
        "mish": mish,
        "sigmoid": sigmoid,
        "hard_sigmoid": hard_sigmoid,
        "log_sigmoid": log_sigmoid,
        "tanh": tanh,
        "hard_tanh": hard_tanh,
        "soft_sign": soft_sign,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "sparsemax": sparsemax,
        "identity": identity,
        "linear": identity,
    }
)
"""Every activation that a model takes by name, with its default slope or α.

For another slope, pass `functools.partial(leaky_relu, negative_slope=0.1)`. Activations with
learned parameters are modules: `PReLU` and `Maxout`.
"""


def activation(name_or_function: str | Activation) -> Activation:
    """Look up an activation function by its name.

    Args:
      name_or_function: a key of `ACTIVATIONS`, or any function of one array, which is returned.

    Returns:
      The function.

    Raises:
      ValueError: if the name is unknown.

    >>> activation("relu").__name__
    'relu'
    """
    if callable(name_or_function):
        return name_or_function
    check_choice("activation", name_or_function, tuple(ACTIVATIONS))
    return ACTIVATIONS[name_or_function]


def activation_name(name_or_function: str | Activation) -> str:
    """Find the name of an activation, whichever library defines it and whatever its slope.

    Args:
      name_or_function: a name, a function, a `functools.partial` of one, or a module.

    Returns:
      The name of the function, or of the module's class.

    >>> import functools
    >>> activation_name(functools.partial(jax.nn.leaky_relu, negative_slope=0.2))
    'leaky_relu'
    """
    if isinstance(name_or_function, str):
        return name_or_function
    function = getattr(name_or_function, "func", name_or_function)
    return getattr(function, "__name__", type(function).__name__)
