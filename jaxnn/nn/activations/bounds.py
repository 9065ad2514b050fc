"""Between which values an activation function stays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jaxnn.arguments import is_concrete
from jaxnn.nn.activations.table import activation_name
from jaxnn.nn.taps import Bounds

__all__ = ["BOUNDS", "bounds_of"]


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_UNIT, _SYMMETRIC = Bounds(0.0, 1.0, 1.0), Bounds(-1.0, 1.0, 2.0)

BOUNDS: Mapping[str, Bounds] = MappingProxyType(
    {
        "relu": Bounds(0.0, math.inf, 0.0),
        "relu6": Bounds(0.0, 6.0, 0.0),
        "selu": Bounds(-_SELU_SCALE * _SELU_ALPHA, math.inf, _SELU_SCALE * _SELU_ALPHA),
        "softplus": Bounds(0.0, math.inf, 1.0),
        "sigmoid": _UNIT,
        "hard_sigmoid": Bounds(0.0, 1.0, 0.0),
        "log_sigmoid": Bounds(-math.inf, 0.0, 1.0),
        "tanh": _SYMMETRIC,
        "hard_tanh": Bounds(-1.0, 1.0, 0.0),
        "soft_sign": _SYMMETRIC,
        "softmax": _UNIT,
        "sparsemax": Bounds(0.0, 1.0, 0.0),
    }
)
"""Bounds by the name of the function, those with an α apart."""

_WITH_ALPHA = ("elu", "celu")


def bounds_of(name_or_function: Any) -> Bounds | None:
    """The bounds of an activation function.

    Args:
      name_or_function: a name, a function, or a `functools.partial` of one with `alpha=`.

    Returns:
      The bounds; None for a function that has none, that is not known by its name, or that has
      a traced or a negative α.

    >>> bounds_of("elu")
    Bounds(low=-1.0, high=inf, scale=1.0)
    >>> bounds_of("gelu") is None
    True
    """
    name = activation_name(name_or_function)
    if name not in _WITH_ALPHA:
        return BOUNDS.get(name)
    alpha = getattr(name_or_function, "keywords", {}).get("alpha", 1.0)
    if not is_concrete(alpha) or alpha < 0:
        return None
    return Bounds(-float(alpha), math.inf, float(alpha))
