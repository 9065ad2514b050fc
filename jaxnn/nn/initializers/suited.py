"""The table of which initializer suits which activation."""

from __future__ import annotations

from collections.abc import Callable

from jaxnn.nn.activations.table import Activation, activation_name
from jaxnn.nn.initializers.fans import Initializer, Number
from jaxnn.nn.initializers.variance import glorot_uniform, he_normal, lecun_normal

__all__ = ["initializer_for"]

_BY_ACTIVATION: dict[str, Callable[[Number], Initializer]] = {
    **dict.fromkeys(("sigmoid", "tanh", "softmax"), glorot_uniform),
    **dict.fromkeys(("hard_sigmoid", "hard_tanh", "log_sigmoid", "soft_sign"), glorot_uniform),
    **dict.fromkeys(("log_softmax", "sparsemax"), glorot_uniform),
    **dict.fromkeys(("relu", "leaky_relu", "PReLU", "elu", "gelu", "silu", "mish"), he_normal),
    **dict.fromkeys(("relu6", "celu", "softplus", "gelu_tanh", "hard_silu"), he_normal),
    **dict.fromkeys(("swish", "hard_swish"), he_normal),
    **dict.fromkeys(("selu", "maxout"), lecun_normal),
}


def initializer_for(activation: str | Activation, scale: Number = 1.0) -> Initializer:
    """Look up the initializer that suits an activation.

    It is `he_normal` for ReLU and its relatives (leaky ReLU, PReLU, ELU, GELU, Swish, Mish),
    `lecun_normal` for SELU and maxout, and `glorot_uniform` for tanh, sigmoid, softmax and their
    relatives.

    Args:
      activation: name of the activation, or the function, or a `functools.partial` of it. An
        unknown activation gets `glorot_uniform`, which makes the weakest assumptions.
      scale: factor of the weights, at least 0; a float or a traced scalar.

    Returns:
      An initializer `(key, shape, dtype) -> array`.

    Raises:
      ValueError: if a concrete `scale` is below 0.

    >>> initializer_for("relu").__qualname__, initializer_for("selu").__qualname__
    ('he_normal.<locals>.init', 'lecun_normal.<locals>.init')

    Source: lecture M's table.
    """
    if not isinstance(activation, str) and not callable(activation):
        raise TypeError(
            f"activation must be the name of an activation or a function, got {activation!r}"
        )
    return _BY_ACTIVATION.get(activation_name(activation), glorot_uniform)(scale)
