"""Whether the inputs have the scale that initial weights are made for."""

from __future__ import annotations

import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.inputs.features import Features, features_of
from jaxnn.inspect.checks.subject import Subject

__all__ = ["inputs_standardized"]

_REMEDY = 'standardize: jaxnn.data.from_arrays(…, preprocess="standardize")'


@standing("inputs standardized", "lecture L, normalization of the data; lecture S; UMLAUT")
def inputs_standardized(subject: Subject) -> Finding:
    """Check that the inputs are centred and scaled near deviation 1, on the training part.

    Images in [0, 1] pass. Inputs that are mostly 0 may be on any scale of at most 10, since
    standardizing them would destroy their sparsity.
    """
    numbers = {}
    for table in features_of(subject):
        overall = float(table.values.std())
        evidence = {"mean": float(table.values.mean()), "deviation": overall}
        found = _fault(table, overall, evidence)
        if found is not None:
            return found
        numbers |= evidence
    return passed(
        f"mean {numbers['mean']:.3g} and deviation {numbers['deviation']:.3g} over all features",
        **numbers,
    )


def _fault(table: Features, overall: float, evidence: dict[str, float]) -> Finding | None:
    varying = np.flatnonzero(table.varies)
    if not varying.size:
        return None  # constant features have a check of their own
    deviation, mean = table.deviation[varying], table.mean[varying]
    widest = int(np.argmax(deviation))
    if deviation[widest] > thresholds.LARGEST_DEVIATION:
        return failed(
            f"{table.name(varying[widest])} has deviation {deviation[widest]:.3g}, and initial "
            "weights are made for 1",
            where=table.name(varying[widest]),
            remedy=_REMEDY,
            **evidence,
        )
    if (table.values == 0).mean() > thresholds.SPARSE:
        return None
    if overall < thresholds.SMALLEST_DEVIATION:
        return failed(
            f"all inputs together have deviation {overall:.3g}, so they are nearly constant; "
            "were they scaled twice?",
            where=table.path,
            remedy=_REMEDY,
            **evidence,
        )
    # Of wide data, such as images, some features are off; of a table each matters.
    offset = np.abs(mean) / deviation
    narrow = len(table.mean) < thresholds.NARROW
    off = float(offset.max() if narrow else np.median(offset))
    if off > thresholds.FARTHEST_MEAN:
        place = table.name(varying[int(np.argmax(offset))]) if narrow else table.path
        return failed(
            f"the mean lies {off:.3g} deviations from 0",
            where=place,
            remedy=_REMEDY,
            offset=off,
            **evidence,
        )
    typical = float(np.median(deviation))
    spread = typical / float(deviation.min()) if narrow else 1.0
    spread = max(spread, float(deviation.max()) / typical)
    if spread > thresholds.SPREAD:
        place = table.name(varying[int(np.argmin(deviation) if narrow else widest)])
        return failed(
            f"the deviations of features differ by a factor of {spread:.3g}",
            where=place,
            remedy=_REMEDY,
            spread=spread,
            **evidence,
        )
    return None
