"""Run a call with one bad value, and say what came of it."""

from __future__ import annotations

import ast
import functools
import math
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import Argument

import jaxnn

_HOME = Path(jaxnn.__file__).parent
_SAYS = re.compile(
    r"\b(must|needs?|takes?|holds?|only|use|give|gives|given|expects?|allowed"
    r"|(go|goes) (with|together)|at (least|most)|is no|are no|has no|have no|there is no|cannot)\b"
)
_LONGEST = 2000  # characters of an error that can still be read
_FLOAT32 = 3.4e38  # its largest number, nearly
CLEAR, UNCLEAR, RIGHT, SILENT = "clear", "unclear", "taken and right", "silent nonsense"


@dataclass(frozen=True, eq=False)
class Row:
    """A valid call of one public name.

    Attributes:
      name: of the public name below `jaxnn`, such as "optim.adam"; a word behind a colon tells
        two calls of one name apart.
      arguments: by name.
      call: takes the arguments by name; what it returns is examined, so it also uses what a
        factory makes.
      slow: whether the call compiles programs, and so is left out of the quick sample.
    """

    name: str
    arguments: dict[str, Argument]
    call: Callable[..., Any]
    slow: bool = False

    @property
    def covers(self) -> str:
        return self.name.partition(":")[0]

    def valid(self) -> dict[str, Any]:
        return {name: argument.value for name, argument in self.arguments.items()}


@dataclass(frozen=True)
class Outcome:
    kind: str
    why: str


def run(row: Row, changes: dict[str, Any]) -> Any:
    """Call as users do: broadcasting as JAX has it, and warnings that are no errors.

    (A warning of NumPy's inside a conversion of JAX's, turned into an error, ends the process.)
    """
    with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("ignore")
        return row.call(**{**row.valid(), **changes})


def outcome(row: Row, name: str, bad: Any) -> Outcome:
    """Replace one argument of a valid call, run it, and classify what comes of it."""
    argument = row.arguments[name]
    try:
        result = run(row, {name: bad})
    except Exception as error:
        return _of_error(row, name, argument, error)
    if not _takes(argument, bad):
        return Outcome(SILENT, "taken, although it is not allowed")
    if argument.undefined(bad) or (argument.holds_numbers and not _finite(bad, _FLOAT32)):
        return Outcome(RIGHT, "")
    if not _finite(result):
        return Outcome(SILENT, "NaN or Inf comes out")
    return Outcome(RIGHT, "")


def _takes(argument: Argument, bad: Any) -> bool:
    return bool(argument.takes(bad))


def _of_error(row: Row, name: str, argument: Argument, error: Exception) -> Outcome:
    text = str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {_place(frame)}: {_short(text)}"
    if isinstance(error, OSError) and error.filename is not None:
        return Outcome(CLEAR, where)  # the system's own words for a path name it
    if not isinstance(error, (ValueError, TypeError, OSError)):
        return Outcome(UNCLEAR, where)
    if not _is_raised(frame):
        return Outcome(UNCLEAR, "from deep within: " + where)
    names = [name, *argument.called, *(row.arguments if argument.loose else ())]
    if not any(
        re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text) for word in names
    ):
        return Outcome(UNCLEAR, "does not name the argument: " + where)
    if not _SAYS.search(text):
        return Outcome(UNCLEAR, "does not say what is allowed: " + where)
    if len(text) > _LONGEST:
        return Outcome(UNCLEAR, f"{len(text)} characters: " + where)
    return Outcome(CLEAR, where)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."


def _place(frame: traceback.FrameSummary) -> str:
    path = Path(frame.filename)
    return f"{'/'.join(path.parts[-2:])}:{frame.lineno}"


def _is_raised(frame: traceback.FrameSummary) -> bool:
    """Whether an error came from a `raise` of jaxnn, and not from a call on that line."""
    path = Path(frame.filename)
    if not path.is_relative_to(_HOME) or frame.lineno is None:
        return False
    return any(first <= frame.lineno <= last for first, last in _raises(path))


@functools.cache
def _raises(path: Path) -> list[tuple[int, int]]:
    parsed = ast.parse(path.read_text())
    found = [node for node in ast.walk(parsed) if isinstance(node, ast.Raise)]
    return [(node.lineno, node.end_lineno or node.lineno) for node in found]


def _finite(tree: Any, largest: float = math.inf) -> bool:
    return all(_is_finite(leaf, largest) for leaf in jax.tree.leaves(tree))


def _is_finite(leaf: Any, largest: float) -> bool:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return True
    if not isinstance(leaf, (float, complex, np.ndarray, np.generic, jax.Array)):
        return True
    values = np.asarray(leaf)
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return True
    return bool(np.all(np.abs(values.astype(np.complex128)) < largest))


def row(
    name: str,
    use: Callable[[Any], Any] = lambda made: made,
    /,
    *,
    slow: bool = False,
    **arguments: Argument,
) -> Row:
    """The row of a public name that is called with its arguments by name.

    `use` takes what the call returns, and uses it once.
    """

    def call(**values: Any) -> Any:
        return use(look_up(name)(**values))

    return Row(name, arguments, call, slow)


def look_up(name: str) -> Any:
    return functools.reduce(getattr, name.partition(":")[0].split("."), jaxnn)
