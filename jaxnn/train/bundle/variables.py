"""Parameters and model state as one tree, whose paths name the arrays in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["nested", "parted", "variables_of"]

_STATE = "state"


def variables_of(params: Any, model_state: Any) -> dict[str, Any]:
    """Join parameters and state, for a Linen model into its variables.

    >>> variables_of({"w": 1}, {"batch_stats": {"mean": 2}})
    {'params': {'w': 1}, 'batch_stats': {'mean': 2}}
    """
    if isinstance(model_state, Mapping) and not {"params", _STATE} & model_state.keys():
        return {"params": params, **model_state}
    return {"params": params, _STATE: model_state}


def parted(variables: Mapping[str, Any]) -> tuple[Any, Any]:
    """Take apart what `variables_of` joined.

    >>> parted({"params": {"w": 1}, "batch_stats": {"mean": 2}})
    ({'w': 1}, {'batch_stats': {'mean': 2}})
    """
    rest = {name: value for name, value in variables.items() if name != "params"}
    return variables.get("params", {}), rest[_STATE] if list(rest) == [_STATE] else rest


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of leaves that are named by their paths.

    Raises:
      ValueError: a path goes through another leaf.

    >>> nested({"params/Dense_0/bias": 1, "params/Dense_0/kernel": 2})
    {'params': {'Dense_0': {'bias': 1, 'kernel': 2}}}
    """
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *above, name = path.split("/")
        node = tree
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(f"{path} cannot lie within another array")
        if name in node:
            raise ValueError(f"{path} cannot be both an array and a group of arrays")
        node[name] = leaf
    return tree
