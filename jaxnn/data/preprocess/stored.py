"""Fitted preprocessing as data: a description that JSON can write, and plain arrays beside it.

Nothing is pickled, so a description and its arrays may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxnn.data.preprocess.components import PCA
from jaxnn.data.preprocess.images import Centering
from jaxnn.data.preprocess.methods import STATES, Chain, State, check_state
from jaxnn.data.preprocess.scaling import MinMax, Robust
from jaxnn.data.preprocess.standardization import Standardization
from jaxnn.data.preprocess.tables import UNKNOWN, TableEncoding
from jaxnn.data.preprocess.whitening import ZCA, Whitening

__all__ = ["describe_preprocess", "restore_preprocess"]


def describe_preprocess(preprocess: State) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Take a fitted state apart into a description and arrays.

    Args:
      preprocess: returned by any `fit_…` of `jaxnn.data`, such as `Data.preprocess` or
        `Data.preprocess_y`.

    Returns:
      A dict that JSON can write, with the state's "kind", and NumPy arrays by name.

    Raises:
      TypeError: anything else, None included.

    >>> describe_preprocess(Centering(np.array([1.0, 2.0])))
    ({'kind': 'Centering'}, {'mean': array([1., 2.])})
    """
    check_state(preprocess, "preprocess")
    described: dict[str, Any] = {"kind": type(preprocess).__name__}
    if isinstance(preprocess, Chain):
        parts = [describe_preprocess(state) for state in preprocess.states]
        described["states"] = [description for description, _ in parts]
        return described, {
            f"{number}.{name}": array
            for number, (_, arrays) in enumerate(parts)
            for name, array in arrays.items()
        }
    if isinstance(preprocess, TableEncoding):
        return {
            **described,
            "columns": list(preprocess.columns),
            "categories": [None if c is None else list(c) for c in preprocess.categories],
            "fill": list(preprocess.fill),
            "unknown": preprocess.unknown,
        }, {}
    return described, {name: np.asarray(leaf) for name, leaf in preprocess._asdict().items()}


def restore_preprocess(described: Mapping[str, Any], arrays: Mapping[str, Any]) -> State:
    """Put a state together again, bit for bit.

    Args:
      described: the dict that `describe_preprocess` returned, or what JSON read of it.
      arrays: the arrays that it returned.

    Returns:
      The state, of NumPy arrays.

    Raises:
      TypeError: arrays that are no dict.
      ValueError: a description or arrays that are of no state.

    >>> restore_preprocess({"kind": "Centering"}, {"mean": np.array([1.0, 2.0])})
    Centering(mean=array([1., 2.]))
    """
    kinds: dict[str, Any] = {kind.__name__: kind for kind in STATES}
    name = described.get("kind") if isinstance(described, Mapping) else None
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"preprocess must be described by one of {', '.join(kinds)}, got {name!r}")
    if not isinstance(arrays, Mapping):
        raise TypeError(f"arrays must be a dict of arrays by name, got {arrays!r}")
    if kind is Chain:
        return _chain(described, arrays)
    if kind is TableEncoding:
        return _encoding(described)
    if set(arrays) != set(kind._fields):
        raise ValueError(
            f"a {name} must have the arrays {', '.join(kind._fields)}, got {', '.join(arrays)}"
        )
    state = kind(**{field: np.asarray(arrays[field]) for field in kind._fields})
    if not _is_sound(state):
        raise ValueError(f"it holds a {name} whose arrays do not fit each other")
    return state


def _chain(described: Mapping[str, Any], arrays: Mapping[str, Any]) -> Chain:
    states = described.get("states")
    numbers = {str(number) for number in range(len(states))} if isinstance(states, list) else set()
    if not numbers or any(name.partition(".")[0] not in numbers for name in arrays):
        raise ValueError("a Chain must have a list of states, and their arrays by number")
    assert isinstance(states, list)  # or it had no numbers
    return Chain(
        tuple(
            restore_preprocess(
                state,
                {
                    name.partition(".")[2]: array
                    for name, array in arrays.items()
                    if name.partition(".")[0] == str(number)
                },
            )
            for number, state in enumerate(states)
        )
    )


def _encoding(described: Mapping[str, Any]) -> TableEncoding:
    fields: list[Any] = [described.get(name) for name in TableEncoding._fields]
    columns, categories, fill, unknown = fields
    if not (
        _is_list_of(columns, str)
        and _is_list_of(categories, (list, type(None)))
        and all(names is None or _is_list_of(names, str) for names in categories)
        and _is_list_of(fill, (str, int, float, type(None)))
        and len(columns) == len(categories) == len(fill)
        and unknown in UNKNOWN
    ):
        raise ValueError("a TableEncoding must have columns, categories and fill of one length")
    return TableEncoding(
        tuple(columns),
        tuple(None if names is None else tuple(names) for names in categories),
        tuple(fill),
        unknown,
    )


def _is_list_of(values: Any, kind: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _is_sound(state: Any) -> bool:
    if not all(leaf.dtype.kind == "f" and np.isfinite(leaf).all() for leaf in state):
        return False
    return _SOUND[type(state)](state)


def _is_whitening(state: Any) -> bool:
    shapes = (len(state.variance), *state.mean.shape)
    fits = state.variance.ndim == 1 and state.components.shape == shapes
    eps = np.zeros(()) if isinstance(state, PCA) else state.eps
    return fits and bool((state.variance >= 0).all()) and eps.shape == () and bool(eps >= 0)


def _is_scale(center: np.ndarray, scale: np.ndarray) -> bool:
    return center.shape == scale.shape and bool((scale > 0).all())


def _is_min_max(state: MinMax) -> bool:
    bounds = state.low.shape == state.high.shape == ()
    return bounds and bool(state.low < state.high) and _is_scale(state.minimum, state.extent)


_SOUND: dict[type, Callable[[Any], bool]] = {
    Centering: lambda state: True,
    Standardization: lambda state: _is_scale(*state),
    Robust: lambda state: _is_scale(*state),
    MinMax: _is_min_max,
    PCA: _is_whitening,
    Whitening: _is_whitening,
    ZCA: _is_whitening,
}
