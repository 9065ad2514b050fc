"""Whether validation and test inputs are scaled as the training inputs are."""

from __future__ import annotations

import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.inputs.features import Features, common_features
from jaxnn.inspect.checks.subject import NotJudged, Subject

__all__ = ["parts_alike"]

_REMEDY = "apply to every part what was fitted on train: jaxnn.data.from_parts(train, val, test, …)"


@standing("parts scaled alike", "lectures L and S: statistics of the training set for all parts")
def parts_alike(subject: Subject) -> Finding:
    """Check mean and deviation of the features of val and test against those of train.

    A part that was standardized by statistics of its own is told by means that are closer to 0
    than those of a random part can be.
    """
    subject.train  # noqa: B018  refuses data that cannot be trained on
    others = [name for name in subject.parts if name != "train"]
    if not others:
        raise NotJudged("there is no validation and no test part")
    evidence = {}
    for name in others:
        for train, part in common_features(subject, name):
            varying = np.flatnonzero(train.spread & (train.deviation > 0))
            if not varying.size:
                continue
            ratio = part.deviation[varying] / train.deviation[varying]
            shift = (part.mean[varying] - train.mean[varying]) / train.deviation[varying]
            evidence |= {
                f"{name} deviation": float(np.median(ratio)),
                f"{name} shift": float(np.median(np.abs(shift))),
            }
            found = _fault(name, train, part, varying, ratio, np.abs(shift))
            if found is not None:
                return found
    return passed(f"train, {' and '.join(others)} have like means and deviations", **evidence)


def _fault(
    name: str,
    train: Features,
    part: Features,
    varying: np.ndarray,
    ratio: np.ndarray,
    shift: np.ndarray,
) -> Finding | None:
    error = (1 / len(part.values) + 1 / len(train.values)) ** 0.5
    typical = float(np.median(ratio))
    # The deviation of few examples is uncertain itself.
    limit = thresholds.PART_RATIO + thresholds.ERRORS * error
    if not 1 / limit <= typical <= limit:
        return failed(
            f"{name} has {typical:.3g} times the deviation of train",
            where=name,
            remedy=_REMEDY,
            ratio=typical,
        )
    middle = float(np.median(shift))
    if middle > max(thresholds.PART_SHIFT, thresholds.ERRORS * error):
        return failed(
            f"the means of {name} lie {middle:.3g} deviations from those of train",
            where=name,
            remedy=_REMEDY,
            shift=middle,
        )
    farthest = int(np.argmax(shift))
    if shift[farthest] > max(thresholds.FEATURE_SHIFT, 2 * thresholds.ERRORS * error):
        place = train.name(varying[farthest])
        return failed(
            f"the mean of {place} in {name} lies {shift[farthest]:.3g} deviations from that of "
            "train",
            where=f"{name}: {place}",
            remedy=_REMEDY,
            shift=shift[farthest],
        )
    own = [np.abs(t.mean[varying] / t.deviation[varying]).max() for t in (train, part)]
    if len(part.values) > 2 and max(own) < thresholds.OWN_MEAN * error:
        return failed(
            f"the means of {name} are 0 as exactly as those of train, so it was standardized by "
            "statistics of its own",
            where=name,
            remedy=_REMEDY,
            mean=own[1],
            expected=error,
        )
    return None
