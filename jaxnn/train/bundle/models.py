"""The models of `jaxnn.nn`, made again from their descriptions; other models are code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from jaxnn.nn.activations.table import ACTIVATIONS
from jaxnn.nn.models import MLP, ConvNet, LogisticRegression, ResNet

__all__ = ["model_of"]

_MODELS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (MLP, ConvNet, LogisticRegression, ResNet)
}
_FOR_INITIALIZATION = ("kernel_init", "bias_init", "param_dtype")  # no part of a trained model


def model_of(described: Any) -> nn.Module | None:
    """Make the model that a description is of; None where it takes code that is not here.

    >>> from jaxnn.describe import describe
    >>> model_of(describe(MLP((16, 3), activation="tanh"))).widths
    (16, 3)
    """
    if not isinstance(described, Mapping) or len(described) != 1:
        return None
    ((name, settings),) = described.items()
    kind = _MODELS.get(name.rpartition(".")[2]) if name.startswith("jaxnn.nn.models.") else None
    if kind is None or not isinstance(settings, Mapping):
        return None
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name not in settings or field.name in _FOR_INITIALIZATION:
            continue
        value = settings[field.name]
        if field.name == "activation" and isinstance(value, str):
            value = _activation(value)
        if not _is_plain(value):
            return None
        arguments[field.name] = _tuples(value)
    try:
        return kind(**arguments)
    except (TypeError, ValueError):  # such as a function of the user's, described by its name
        return None


def _activation(name: str) -> str:
    """The name by which a model knows an activation function of this library."""
    short = name.rpartition(".")[2]
    ours = name.startswith("jaxnn.nn.activations.") and short in ACTIVATIONS
    return short if ours else name


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
