"""Write to terminals, logs and pipes of any encoding, also to those that have gone away.

What a program shows must not end it: a metric named "κ" on a terminal that knows no Greek, or a
reader such as `head` that has seen enough, is no reason to lose a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import IO, Any

__all__ = ["SurvivingStream", "writable"]

# Greek letters by their names, signs by what typewriters had for them.
_PLAIN = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "ζ": "zeta",
    "η": "eta",
    "θ": "theta",
    "ι": "iota",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "ο": "omicron",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "υ": "upsilon",
    "φ": "phi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
    "Σ": "sum ",
    "²": "^2",
    "³": "^3",
    "½": "1/2",
    "¼": "1/4",
    "₀": "0",
    "₁": "1",
    "₂": "2",
    "µ": "u",
    "×": "x",
    "·": "*",
    "÷": "/",
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "←": "<-",
    "→": "->",
    "›": ">",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "∞": "infinity",
    "√": "sqrt ",
    "‖": "||",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "━": "-",
    "─": "-",
    "│": "|",
}


def writable(text: str, encoding: str | None) -> str:
    """Replace what an encoding cannot write by plain letters.

    Args:
      text: any text.
      encoding: of the stream; None: one that can write everything.

    Returns:
      The text itself where the encoding can write it. Else Greek letters and common signs are
      spelled out, and any other character becomes its escape, such as `\\u4e2d`.

    >>> writable("λ ≤ ½, κ", "ascii"), writable("λ ≤ ½, κ", "cp1252")
    ('lambda <= 1/2, kappa', 'lambda <= ½, kappa')
    """
    if encoding is None or _can_write(encoding, text):
        return text
    return "".join(
        letter if _can_write(encoding, letter) else _spelled(letter, encoding) for letter in text
    )


def _spelled(letter: str, encoding: str) -> str:
    return _PLAIN.get(letter) or letter.encode(encoding, "backslashreplace").decode(encoding)


def _can_write(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class SurvivingStream:
    """A text stream to which writing never fails.

    Characters that its encoding lacks are spelled out, see `writable`. Once its reader has gone
    away, its disk is full, or it was closed, what is written to it is dropped.

    Args:
      stream: such as `sys.stdout`.

    >>> import io
    >>> stream = SurvivingStream(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    >>> print("κ", file=stream, flush=True)
    >>> stream.buffer.getvalue().decode().strip()
    'kappa'
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._gone = stream, False

    def write(self, text: str) -> int:
        self._try(
            lambda: self._stream.write(writable(text, getattr(self._stream, "encoding", None)))
        )
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], object]) -> None:
        if self._gone or self._stream.closed:
            return
        try:
            work()
        except OSError:
            self._gone = True
            self._drop_the_rest()

    def _drop_the_rest(self) -> None:
        """Point the file at nothing, so that Python's own last flush does not fail either."""
        try:
            file = self._stream.fileno()
        except OSError:  # a stream in memory, which nobody flushes
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file)
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
