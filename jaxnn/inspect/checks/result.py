"""What a check found, and the report of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CheckReport", "CheckResult", "ChecksFailed", "Status"]

Status = Literal["passed", "failed", "not judged"]
"""What a check says. A check that could not be made is "not judged", never passed."""


class ChecksFailed(Exception):
    """Raised by `CheckReport.raise_if_failed`; its text holds the failed checks, one a line."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found; `str` gives one line, `explain` all of it.

    Attributes:
      name: of the check.
      status: "passed", "failed" or "not judged".
      message: what was found, in one sentence; of a check that was not judged, the reason.
      evidence: the numbers that the judgement rests on.
      where: the layer, feature or part that is at fault; "" where there is none.
      remedy: what to do; "" where nothing is to be done.
      source: the lecture or paper that the check comes from.

    >>> found = CheckResult("labels", "failed", "the labels are floats", remedy="use integers")
    >>> print(found)
    failed      labels: the labels are floats; use integers
    """

    name: str
    status: Status
    message: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    where: str = ""
    remedy: str = ""
    source: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        line = f"{self.status:<10}  {self.name}: {self.message}{place}{remedy}"
        return " ".join(line.splitlines())

    def explain(self) -> str:
        """Return the line, and below it the evidence and the source.

        >>> print(CheckResult("loss", "passed", "as expected", {"loss": 2.5}).explain())
        passed      loss: as expected
            loss = 2.5
        """
        lines = [str(self), *(f"    {name} = {value:.6g}" for name, value in self.evidence.items())]
        if self.source:
            lines.append(f"    source: {self.source}")
        return "\n".join(lines)


@dataclass(frozen=True)
class CheckReport:
    """The results of all checks, in the order in which they were made.

    >>> report = CheckReport((CheckResult("loss", "passed", "as expected"),))
    >>> print(report)
    passed      loss: as expected
    1 check: 1 passed, 0 failed, 0 not judged
    >>> report.failed
    ()
    """

    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The results of the checks that passed."""
        return self._of("passed")

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The results of the checks that failed."""
        return self._of("failed")

    @property
    def not_judged(self) -> tuple[CheckResult, ...]:
        """The results of the checks that could not be made, each with the reason."""
        return self._of("not judged")

    def raise_if_failed(self) -> None:
        """Raise where a check failed.

        Raises:
          ChecksFailed: holding the lines of the failed checks.
        """
        if self.failed:
            raise ChecksFailed("\n".join(map(str, self.failed)))

    def explain(self) -> str:
        """Return every result with its evidence and its source."""
        return "\n".join(result.explain() for result in self.results)

    def __iter__(self) -> Iterator[CheckResult]:
        return iter(self.results)

    def __getitem__(self, name: str) -> CheckResult:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"{name!r} is no check of this report")

    def __str__(self) -> str:
        count = len(self.results)
        summary = (
            f"{count} check{'s' * (count != 1)}: {len(self.passed)} passed, "
            f"{len(self.failed)} failed, {len(self.not_judged)} not judged"
        )
        return "\n".join((*map(str, self.results), summary))

    def _of(self, status: Status) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if result.status == status)
