"""The pool of bad values: each takes the place of one argument of a valid call."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np


class _Thing:
    """An object without any method of its own."""

    def __repr__(self) -> str:
        return "<a thing>"


def _nothing(*args: Any, **keywords: Any) -> None:
    """A function that fits nowhere."""


def pool() -> dict[str, Any]:
    """The bad values by name, made anew: JAX arrays cannot be made before devices are chosen."""
    holding_itself = np.empty(2, object)
    holding_itself[:] = [None, "a"]
    return {
        "None": None,
        "True": True,
        "False": False,
        "-1": -1,
        "0": 0,
        "1": 1,
        "2": 2,
        "1.5": 1.5,
        "-0.5": -0.5,
        "nan": math.nan,
        "inf": math.inf,
        "-inf": -math.inf,
        "1e300": 1e300,
        "1e-40": 1e-40,
        "2**40": 2**40,
        "10**30": 10**30,
        "1j": 1j,
        "'no'": "no",
        "''": "",
        "'('": "(",
        "b'x'": b"x",
        "[]": [],
        "()": (),
        "{}": {},
        "set": {1, 2},
        "[1.0, 2.0, 3.0]": [1.0, 2.0, 3.0],
        "(2, 3)": (2, 3),
        "[0.5, nan]": [0.5, math.nan],
        "ragged list": [[1.0], [1.0, 2.0]],
        "list of words": ["a", "b"],
        "list of None": [None],
        "dict": {"a": 1.0},
        "dict of words": {"x": "no"},
        "thing": _Thing(),
        "function": _nothing,
        "class": list,
        "module": math,
        "slice": slice(0, 2),
        "ones(3)": np.ones(3, np.float32),
        "ones(2, 3)": np.ones((2, 3), np.float32),
        "ones(2, 2, 2, 2, 2)": np.ones((2, 2, 2, 2, 2), np.float32),
        "zeros(0)": np.zeros(0, np.float32),
        "zeros(0, 3)": np.zeros((0, 3), np.float32),
        "nan array": np.full((4, 3), np.nan, np.float32),
        "float64 beyond float32": np.full((4, 3), 1e300),
        "int64 beyond int32": np.full(4, 2**40, np.int64),
        "uint8": np.arange(4, dtype=np.uint8),
        "float16": np.ones(4, np.float16),
        "bool array": np.ones(4, bool),
        "complex array": np.full((4, 3), 1j, np.complex64),
        "object array": holding_itself,
        "word array": np.array(["a", "b", "c", "d"]),
        "datetime array": np.zeros(4, "datetime64[s]"),
        "jax scalar": jax.numpy.float32(0.5),
        "jax ints": jax.numpy.arange(4),
        "typed key": jax.random.key(3),
        "raw key": jax.random.PRNGKey(3),
        "keys": jax.random.split(jax.random.key(3), 4),
    }
