"""Preprocessing of the parts of a data set: fit on the training part, apply to all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxnn.data.inputs.batch import as_batch
from jaxnn.data.preprocess.methods import Method, State, apply, fit_method

__all__ = ["preprocessed"]

_PARTS = ("train", "val", "test")


def preprocessed(
    parts: list[Any], argument: str, entry: str, method: Method
) -> tuple[list[Any], State]:
    """Fit a method on an entry of the training part, and apply it to that entry of all parts."""
    fit = fit_method(method, argument)
    named = zip(_PARTS, parts, strict=True)
    parts = [part if part is None else _with_names(name, part) for name, part in named]
    train = parts[0]
    if not isinstance(train, Mapping) or isinstance(train.get(entry), (Mapping, type(None))):
        raise ValueError(
            f"{argument}={method!r} needs a dict in which {entry} is one array; use the fit "
            "functions and jaxnn.data.apply on the arrays that need it"
        )
    state = fit(train[entry])
    return [
        part if part is None else _applied(name, part, argument, entry, state)
        for name, part in zip(_PARTS, parts, strict=True)
    ], state


def _applied(name: str, part: Any, argument: str, entry: str, state: State) -> Any:
    if not isinstance(part, Mapping):
        raise TypeError(f"{name} must be a dict, as train is, for {argument}=, got {part!r}")
    if part.get(entry) is None:
        return part
    return {**part, entry: apply(state, part[entry])}


def _with_names(name: str, part: Any) -> Any:
    """Make a dict of a pair; other parts stay as they are."""
    is_pair = isinstance(part, (tuple, list)) and not hasattr(part, "_fields")
    return as_batch(name, part) if is_pair else part
