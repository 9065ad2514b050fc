"""Tell the settings of a run on its page, a card for each part of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["setting_cards", "setting_text"]

# Each of these settings has its own card.
_CARDS = ("recipe", "knobs", "settings", "versions", "devices")


def setting_cards(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Group the settings of a run by cards, each a name and what stands on it.

    >>> setting_cards({"recipe": {"loss": "mse"}, "epochs": 3})
    [('recipe', {'loss': 'mse'}), ('training', {'epochs': 3})]
    """
    cards = [(name, config.get(name)) for name in _CARDS]
    cards.insert(1, ("training", {n: item for n, item in config.items() if n not in _CARDS}))
    return [(name, _joined(settings)) for name, settings in cards if settings]


def _joined(value: Any) -> Any:
    """Join names that hold nothing but one other name to a single name.

    Optax wraps each part of an optimizer in functions of one argument. One level of the page
    for each of them would push the settings that matter out of sight.
    """
    if isinstance(value, (list, tuple)):
        return [_joined(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    joined = {}
    for name, item in value.items():
        while isinstance(item, Mapping) and len(item) == 1:
            ((inner, item),) = item.items()
            name = f"{name} › {inner}"
        joined[name] = _joined(item)
    return joined


def setting_text(value: Any) -> str:
    """Write one setting that has no parts.

    >>> setting_text(None), setting_text((2, 3))
    ('none', '2, 3')
    """
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)) and value:
        return ", ".join(map(str, value))
    return str(value)
