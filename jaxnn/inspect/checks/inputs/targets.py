"""Whether the targets of a regression have the scale of a network's outputs."""

from __future__ import annotations

import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.inspect.checks.task import Task, task_of

__all__ = ["targets_scaled"]

_REMEDY = 'standardize them: jaxnn.data.from_arrays(…, preprocess_y="standardize")'


@standing("targets scaled", "Stack Overflow 48934338 and its like; no lecture teaches it")
def targets_scaled(subject: Subject) -> Finding:
    """Check that the targets of a regression have about the size of a fresh network's outputs."""
    if task_of(subject) is not Task.NUMBERS:
        raise NotJudged("the loss is not one of a regression")
    y = np.asarray(subject.labelled["y"]).astype(np.float64)
    y = y.reshape(len(y), -1)
    deviation, mean = y.std(0), np.abs(y.mean(0))
    evidence = {"deviation": deviation.max(), "mean": mean.max()}
    worst = int(np.argmax(np.maximum(deviation, mean)))
    if max(deviation[worst], mean[worst]) > thresholds.LARGEST_TARGET:
        return failed(
            f"the targets have mean {y.mean(0)[worst]:.3g} and deviation {deviation[worst]:.3g}, "
            "and a fresh network's outputs about 0 and 1",
            where=f"y[{worst}]",
            remedy=_REMEDY,
            **evidence,
        )
    if deviation.max() < thresholds.SMALLEST_TARGET:
        return failed(
            f"the targets have deviation {deviation.max():.3g}, beside which the outputs of a "
            "fresh network are noise",
            where="y",
            remedy=_REMEDY,
            **evidence,
        )
    return passed(f"mean at most {mean.max():.3g} and deviation {deviation.max():.3g}", **evidence)
