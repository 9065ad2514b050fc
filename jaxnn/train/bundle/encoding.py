"""How raw inputs become a model's inputs, and outputs become answers; kept in a folder."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.data.datasets import Data
from jaxnn.data.preprocess.methods import apply, invert
from jaxnn.data.preprocess.stored import describe_preprocess, restore_preprocess
from jaxnn.data.readers.npz import read_npz
from jaxnn.train.record.lines import read_lines, replace_file, sealed
from jaxnn.train.record.view.glance import joined

__all__ = ["Encoding", "encoding_of", "read_encoding", "write_encoding"]

_FACTS, _ARRAYS = "encoding.json", "encoding.npz"  # in the folder of a run or a bundle
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Encoding:
    """What a run must know of its data to answer for raw inputs.

    Attributes:
      preprocess: the fitted preprocessing of the inputs, or None.
      classes: the names of the classes, by their numbers, or None.
      preprocess_y: the fitted scaling of the targets, or None.
    """

    preprocess: Any = None
    classes: tuple[str, ...] | None = None
    preprocess_y: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the data."""
        return self.preprocess is None and self.classes is None and self.preprocess_y is None

    def __repr__(self) -> str:
        states = [type(s).__name__ for s in (self.preprocess, self.preprocess_y) if s is not None]
        names = f"{len(self.classes):,} classes: {joined(self.classes)}" if self.classes else ""
        return f"Encoding({'; '.join(filter(None, [', '.join(states), names]))})"

    def encode(self, raw: Any) -> Any:
        """Preprocess raw inputs as the training inputs were."""
        return raw if self.preprocess is None else apply(self.preprocess, raw)

    def decode(self, outputs: Any) -> Any:
        """Convert a regression's outputs to the units of the raw targets."""
        return outputs if self.preprocess_y is None else invert(self.preprocess_y, outputs)


def encoding_of(data: Any) -> Encoding:
    """What a `jaxnn.data.Data` says of itself; other data say nothing."""
    if not isinstance(data, Data):
        return Encoding()
    return Encoding(data.preprocess, data.classes, data.preprocess_y)


def write_encoding(folder: Path, encoding: Encoding) -> None:
    """Write an encoding into a folder; one that knows nothing is not written."""
    if encoding.is_empty:
        return
    names = encoding.classes
    facts: dict[str, Any] = {"format": _FORMAT, "classes": names and [str(name) for name in names]}
    arrays: dict[str, np.ndarray] = {}
    for part in ("preprocess", "preprocess_y"):
        facts[part] = None
        if (state := getattr(encoding, part)) is not None:
            facts[part], own = describe_preprocess(state)
            arrays |= {f"{part}/{name}": np.asarray(array) for name, array in own.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its keywords are arrays
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / _ARRAYS, buffer.getvalue())
    facts["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    replace_file(folder / _FACTS, sealed(facts))


def read_encoding(folder: Path) -> Encoding:
    """Read what `write_encoding` wrote; where there is nothing, nothing is known.

    Raises:
      ValueError: a file is damaged, missing, or of another version.
    """
    path = folder / _FACTS
    if not path.exists():
        return Encoding()
    try:
        (facts,) = read_lines(path)
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']!r}, and this version reads {_FORMAT}")
        content = (folder / _ARRAYS).read_bytes()
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise ValueError(f"{_ARRAYS} beside it is damaged or another file")
        arrays = read_npz(folder / _ARRAYS)
        states = [_state(facts, arrays, part) for part in ("preprocess", "preprocess_y")]
        return Encoding(states[0], _names(facts["classes"]), states[1])
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error or type(error).__name__}") from error


def _state(facts: dict[str, Any], arrays: dict[str, Any], part: str) -> Any:
    if facts[part] is None:
        return None
    prefix = f"{part}/"
    own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
    return restore_preprocess(facts[part], own)


def _names(classes: Any) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"classes must be a list of names, got {classes!r}")
    return tuple(classes)
