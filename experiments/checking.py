"""The options `--check` and `--strict`, by which an experiment checks its recipe and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jaxnn

__all__ = ["CheckOptions", "check_before"]


@dataclass(frozen=True)
class CheckOptions:
    """Whether recipe and data are checked instead of trained on."""

    check: bool = False
    """Check recipe and data in seconds, print what was found, and do not train; with --strict for
    an exit code."""
    strict: bool = False
    """With --check only: end with exit code 1 where a check failed, for scripts."""


def check_before(options: CheckOptions, recipe: Any, data: Any, key: Any) -> None:
    """Print the report of all checks where `--check` asks for it.

    Raises:
      ValueError: `strict` without `check`.
      SystemExit: with 0 after the report, and with 1 where a check failed and `strict` is set.
    """
    if not options.check:
        if options.strict:
            raise ValueError("strict goes with check, which makes the checks")
        return
    report = jaxnn.inspect.check(recipe, data, key)
    print(report)
    raise SystemExit(1 if options.strict and report.failed else 0)
