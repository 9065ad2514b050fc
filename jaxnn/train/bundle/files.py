"""A bundle on disk: what a model needs to predict, in files that any program can read.

- `bundle.json`, one line that ends with its CRC-32: the model's and the loss's description, the
  layout of the inputs, the shape and dtype of each array, the versions, and the SHA-256 of
- `variables.npz`: the arrays by their paths, such as "params/Dense_0/kernel" and
  "batch_stats/BatchNorm_0/mean", which are the paths in a Linen model's variables. What NumPy has
  no dtype for, such as bfloat16, is stored as unsigned integers of the same bits;
- `encoding.json` and `encoding.npz`, where the data had preprocessing or class names.

The names of the files are fixed, so that a bundle points nowhere else, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.data.readers.npz import read_npz
from jaxnn.train.record.lines import read_lines, replace_file, sealed

__all__ = ["holds_a_bundle", "read_bundle", "write_bundle"]

_FACTS, _ARRAYS = "bundle.json", "variables.npz"
_FORMAT, _VERSION = "jaxnn bundle", 1
_FIELDS = ("model", "loss", "rngs", "compute_dtype", "key", "inputs", "versions")


def holds_a_bundle(folder: Path) -> bool:
    """Whether a bundle was written here."""
    return (folder / _FACTS).exists()


def write_bundle(folder: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the facts and arrays of a bundle; `bundle.json` comes last, when all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {n: {"shape": list(a.shape), "dtype": a.dtype.name} for n, a in arrays.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **{name: _storable(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    replace_file(folder / _ARRAYS, buffer.getvalue())
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        **{name: facts[name] for name in _FIELDS},
        "arrays": rows,
        "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    replace_file(folder / _FACTS, sealed(about))


def read_bundle(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write_bundle` wrote.

    Raises:
      ValueError: a file is missing, damaged, or of another version.
    """
    path = folder / _FACTS
    try:
        lines = list(read_lines(path))
        if len(lines) != 1 or lines[0].get("format") != _FORMAT:
            raise ValueError(f"it must be one line of the format {_FORMAT!r}")
        (facts,) = lines
        if facts["version"] != _VERSION:
            raise ValueError(
                f"its version is {facts['version']!r}, and this jaxnn reads {_VERSION}; update it"
            )
        content = (folder / _ARRAYS).read_bytes()
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise ValueError(f"{_ARRAYS} beside it is damaged or another file")
        if missing := [name for name in _FIELDS if name not in facts]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        stored = read_npz(folder / _ARRAYS)
        arrays = {
            name: _as_stored(name, stored[name], row["dtype"], row["shape"])
            for name, row in facts["arrays"].items()
        }
        return facts, arrays
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error or type(error).__name__}") from error


def _storable(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "biufc":
        return array
    return array.view(f"u{array.dtype.itemsize}")


def _as_stored(name: str, array: np.ndarray, dtype: str, shape: list[int]) -> np.ndarray:
    wanted = jnp.dtype(dtype)  # which knows bfloat16 too
    if array.dtype != wanted:
        if wanted.kind in "biufcO" or array.dtype != np.dtype(f"u{wanted.itemsize}"):
            raise ValueError(f"{name} must be {dtype}, got {array.dtype}")
        array = array.view(wanted)
    if list(array.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {list(array.shape)}")
    return array
