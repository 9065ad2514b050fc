"""The oracle numbers in tests/oracles: by id, and by kind with what a failing one should say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_FOLDER = Path(__file__).parent / "oracles"


def _by_id(name: str) -> dict[str, Any]:
    cases = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return {case["id"]: case for case in cases}


GOLDEN = _by_id("golden.json")
CONVENTIONS = _by_id("conventions.json")

# Whose numbers a case has, by what stands in its source. The first that is found counts:
# Torch 7's are kept in PyTorch's repository.
_PEERS = {
    "lua.out": "torch7",
    "keras-team/": "keras",
    "tensorflow/": "tensorflow",
    "google-deepmind/optax": "optax",
    "coreylowman/dfdx": "dfdx",
    "tracel-ai/burn": "burn",
    "pytorch/": "pytorch",
}


def peer(case: Mapping[str, Any]) -> str:
    """Whose conventions the case follows where its settings do not say."""
    found = (name for text, name in _PEERS.items() if text in case["source"])
    return next(found, "unknown")


def cases(*kinds: str, only: Any = lambda case: True) -> Any:
    """Every case of these kinds, as a parametrization; none is left out for being unknown."""
    chosen = [case for case in GOLDEN.values() if case["kind"] in kinds and only(case)]
    ids = [f"{case['id']}-{case['name']}" for case in chosen]
    return pytest.mark.parametrize("case", chosen, ids=ids)


def look_up(table: Mapping[Any, Any], key: Any, case: Mapping[str, Any], what: str) -> Any:
    """`table[key]`, or a failure that says which row is missing."""
    if key not in table:
        pytest.fail(
            f"golden {case['id']} ({case['source']}) has the {what} {key!r}, which the mapping "
            f"does not know; it knows {sorted(map(str, table))}"
        )
    return table[key]


def ratio(actual: Any, case: Mapping[str, Any]) -> float:
    """The worst error over what the case tolerates: at most 1 where the numbers agree.

    What the case expects may be a tree, and entries of it may be null: not asserted there.
    """
    expected, tolerance = case["expected"], case["tolerance"]
    if isinstance(expected, Mapping):
        return max(ratio(actual[key], {**case, "expected": e}) for key, e in expected.items())
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, "another number of values than the case expects"
    asserted = ~np.isnan(expected)
    assert asserted.any() and np.isfinite(actual).all()
    error = np.abs(actual - expected)[asserted]
    allowed = tolerance["atol"] + tolerance["rtol"] * np.abs(expected[asserted])
    # Some cases tolerate nothing: equal is 0, and anything else is infinitely far.
    return float(np.max(np.where(error > 0, error / np.where(allowed > 0, allowed, 1e-300), 0)))


_ARANGE = re.compile(r"arange\((\d+)\)\.reshape\(([\d, ]+)\)")


def array(text_or_values: Any) -> np.ndarray:
    """An input of a case, also where it is written as `arange(32).reshape(16,2)`."""
    if isinstance(text_or_values, str):
        match = _ARANGE.fullmatch(text_or_values)
        assert match, f"an array that cannot be read: {text_or_values!r}"
        shape = [int(part) for part in match[2].split(",")]
        return np.arange(float(match[1])).reshape(shape)
    return np.asarray(text_or_values, np.float64)
