"""Pairs (init, apply) as pure functions of one form; see `jaxnn.nn.as_functional`."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax

from jaxnn.keys import Keys
from jaxnn.nn.adapters.functional import Functional
from jaxnn.nn.modes import KEYWORDS, MODES

__all__ = ["from_pair"]


def from_pair(init: Callable[..., Any], apply: Callable[..., Any]) -> Functional:
    """See `jaxnn.nn.as_functional`."""
    of_init = _roles("init", init, "key", tuple(MODES))
    of_apply = _roles("apply", apply, "params", ("state", "key", "rng", "weight", *MODES))
    _refuse_untold(apply, of_apply)
    stateful = "state" in of_apply.values()

    def initialize(key: jax.Array, inputs: Any) -> tuple[Any, Any]:
        made = _call(init, of_init, {"key": key, "inputs": inputs, **MODES})
        return made if stateful else (made, {})

    def run(
        params: Any, model_state: Any, inputs: Any, *, train: bool, keys: Keys, weight: Any
    ) -> tuple[Any, Any]:
        key = keys("model") if train else None
        given = {"params": params, "inputs": inputs, "state": model_state, "weight": weight}
        modes = {name: train is on for name, on in MODES.items()}
        outputs = _call(apply, of_apply, {**given, **modes, "key": key, "rng": key})
        return outputs if stateful else (outputs, model_state)

    return Functional(initialize, run, "weight" in of_apply.values())


def _roles(
    what: str, function: Callable[..., Any], first: str, known: tuple[str, ...]
) -> dict[str, str]:
    """What each parameter of a function is filled with."""
    signature = inspect.signature(function)
    roles: dict[str, str] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not roles:
            roles[name] = first
        elif name in known:
            roles[name] = name
        elif "inputs" not in roles.values():
            roles[name] = "inputs"
        elif parameter.default is parameter.empty:
            roles[name] = "nothing"
    if "inputs" not in roles.values() or "nothing" in roles.values():
        raise TypeError(
            f"model: {what} must have the parameters {first}, inputs, and what it needs of "
            f"{', '.join(known)}, got {signature}; a lambda around it can give it these"
        )
    return roles


def _refuse_untold(apply: Callable[..., Any], roles: dict[str, str]) -> None:
    """Refuse a function that draws or has a state, and knows its mode by no known keyword."""
    if MODES.keys() & set(roles.values()) or not {"state", "key", "rng"} & set(roles.values()):
        return
    signature = inspect.signature(apply)
    unknown = [
        name
        for name, parameter in signature.parameters.items()
        if name not in roles and isinstance(parameter.default, bool)
    ]
    if unknown:
        raise TypeError(
            f"model: apply must be told whether it trains by one of the keywords {KEYWORDS}, and "
            f"`{unknown[0]}` would always be {signature.parameters[unknown[0]].default}, got "
            f"{signature}; a lambda around it can hand the mode on"
        )


def _call(function: Callable[..., Any], roles: dict[str, str], given: dict[str, Any]) -> Any:
    # By place where there is one: what a decorator wraps may know it by another name.
    arguments = OrderedDict((name, given[role]) for name, role in roles.items())
    bound = inspect.BoundArguments(inspect.signature(function), arguments)
    return function(*bound.args, **bound.kwargs)
