"""How a module is told whether it trains: the keywords of its call that are known."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["KEYWORDS", "MODES", "keywords_of"]

MODES = {
    "train": True,
    "training": True,
    "is_train": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
    "inference": False,
    "eval": False,
    "is_eval": False,
}
"""The keywords by which libraries tell a module its mode, and their values in training."""

KEYWORDS = ", ".join(f"`{name}`" for name in MODES)
"""The same, as an error lists them."""


def keywords_of(function: Callable[..., Any], *, train: bool, weight: Any = None) -> dict[str, Any]:
    """Return what a module's `__call__` is told: its mode, and the weights if it asks for them.

    >>> keywords_of(lambda x, *, deterministic: x, train=True)
    {'deterministic': False}
    """
    names = inspect.signature(function).parameters
    keywords = {name: train is on for name, on in MODES.items() if name in names}
    return keywords | ({"weight": weight} if "weight" in names else {})
