"""What a check is: a judgement over a subject, with a name and a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jaxnn.inspect.checks.result import CheckResult, Status
from jaxnn.inspect.checks.subject import NotJudged, Subject, prepare
from jaxnn.recipe import MakeRecipe, Recipe

__all__ = ["Check", "Finding", "answer", "failed", "passed", "standing"]


@dataclass(frozen=True)
class Finding:
    """What a judgement returns; `passed` and `failed` make it."""

    status: Status
    message: str
    evidence: dict[str, float] = field(default_factory=dict)
    where: str = ""
    remedy: str = ""


def passed(message: str, **evidence: Any) -> Finding:
    """Find nothing wrong."""
    return Finding("passed", message, _numbers(evidence))


def failed(message: str, *, remedy: str, where: str = "", **evidence: Any) -> Finding:
    """Find a fault, at a place, with what mends it."""
    return Finding("failed", message, _numbers(evidence), where, remedy)


def _numbers(evidence: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in evidence.items()}


@dataclass(frozen=True)
class Check:
    """One check: a pure function of recipe, data and key.

    Attributes:
      name: as the report calls it.
      judge: `subject -> Finding`; it raises `NotJudged` where it cannot judge.
      source: the lecture or paper.
    """

    name: str
    judge: Callable[[Subject], Finding]
    source: str

    def __call__(
        self, recipe: Recipe | MakeRecipe, data: Any, key: Any, *, knobs: Any = None
    ) -> CheckResult:
        """Make this check alone; the arguments are those of `jaxnn.inspect.check`."""
        return self.on(prepare(recipe, data, key, knobs))

    def on(self, subject: Subject) -> CheckResult:
        """Make this check on a subject that several checks share."""
        return answer(self.name, self.source, lambda: self.judge(subject))


def answer(name: str, source: str, judge: Callable[[], Finding]) -> CheckResult:
    """Make the result of what a judgement finds, or of its reason not to judge."""
    try:
        found = judge()
    except NotJudged as reason:
        return CheckResult(name, "not judged", str(reason), source=source)
    return CheckResult(
        name, found.status, found.message, found.evidence, found.where, found.remedy, source
    )


def standing(name: str, source: str) -> Callable[[Callable[[Subject], Finding]], Check]:
    """Decorate a judgement, so that it becomes a check."""

    def named(judge: Callable[[Subject], Finding]) -> Check:
        return Check(name, judge, source)

    return named
