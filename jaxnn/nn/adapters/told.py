"""Whether a Linen module can be told its mode, and the refusal of one that needs it and cannot.

A module that is never told stays in one mode: its statistics stay at their start, or its dropout
never acts, and training says nothing of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn

from jaxnn.arguments import is_concrete
from jaxnn.nn.modes import KEYWORDS, MODES, keywords_of

__all__ = ["refusal", "refuse_untold"]


@contextmanager
def refuse_untold(model: nn.Module) -> Iterator[dict[str, Any]]:
    """Watch a model's initialization, and refuse it where it cannot be told a mode that it needs.

    A model needs its mode if it has batch statistics, or calls a layer that draws in training. It
    can be told if its `__call__` has one of the keywords in `MODES`.

    Yields:
      A dict for the variables, which the caller fills.
    """
    variables: dict[str, Any] = {}
    call = type(model).__call__
    if keywords_of(call, train=True).keys() & MODES.keys():
        yield variables
        return
    drawing: dict[str, None] = {}

    def note(method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__" and _draws(context.module):
            drawing.setdefault(_name(context.module))
        return method(*args, **kwargs)

    with nn.intercept_methods(note):
        yield variables
    if "batch_stats" in variables:
        owners = ", ".join(variables["batch_stats"])
        raise ValueError(refusal(type(model), f"has batch statistics ({owners})"))
    if drawing:
        raise ValueError(refusal(type(model), f"draws in training ({', '.join(drawing)})"))


def refusal(kind: Any, why: str) -> str:
    """Say that a model of some class needs its mode, and how to tell it."""
    signature = inspect.signature(kind.__call__)
    return (
        f"model: {kind.__name__} {why}, but cannot be told whether it trains: its call has the "
        f"signature {signature}. Give it one of the keywords {KEYWORDS} and hand that on to the "
        "layers; a module around it does as well, whose `__call__(self, x, *, train)` returns "
        "`self.model(x, own_keyword=train)`"
    )


def _draws(module: nn.Module) -> bool:
    """Whether a layer draws in training: dropout and its relatives, and attention with dropout."""
    if hasattr(module, "rng_collection"):
        return not _is_zero(getattr(module, "rate", None))
    rate = getattr(module, "dropout_rate", 0.0)
    has_mode = keywords_of(type(module).__call__, train=True).keys() & MODES.keys()
    return bool(has_mode) and rate is not None and not _is_zero(rate)


def _is_zero(rate: Any) -> bool:
    return isinstance(rate, (int, float)) and is_concrete(rate) and rate == 0


def _name(module: nn.Module) -> str:
    return "/".join(module.path) or type(module).__name__
