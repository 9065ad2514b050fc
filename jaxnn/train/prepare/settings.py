"""What a user asks to be recorded beside a run's own settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["recordable"]


def recordable(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Settings as JSON holds them.

    Raises:
      TypeError: no dict, or what JSON cannot write.

    >>> recordable({"sizes": (1, 2)})
    {'sizes': [1, 2]}
    """
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a dict, got {settings!r}")
    try:
        return json.loads(json.dumps(dict(settings)))
    except TypeError as error:
        raise TypeError(f"settings must be what json can write, got {settings!r}") from error
