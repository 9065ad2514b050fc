"""Whether some features are constant, or copies of others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.inputs.features import Features, features_of
from jaxnn.inspect.checks.subject import Subject

__all__ = ["constant_features", "duplicated_features"]


@standing("constant features", "lecture L, normalization of the data (a deviation of 0)")
def constant_features(subject: Subject) -> Finding:
    """Check that features vary over the training part.

    A table must have no constant column. Of wider data, such as images with constant borders, a
    quarter of the features may be constant.
    """
    constant, width = 0, 0
    for table in features_of(subject):
        same = np.flatnonzero(~table.varies)
        features = len(table.varies)
        allowed = 0 if features < thresholds.NARROW else thresholds.CONSTANT_SHARE * features
        if len(same) > allowed:
            return failed(
                f"{len(same)} of {features} features have one value for all examples",
                where=table.names(same),
                remedy="leave them out, or look where their values were lost",
                constant=len(same),
                features=features,
            )
        constant, width = constant + len(same), width + features
    return passed(f"{constant} of {width} features are constant", constant=constant)


@standing("duplicated features", "common practice; no lecture teaches it")
def duplicated_features(subject: Subject) -> Finding:
    """Check that no feature is a copy of another, up to its unit and sign."""
    compared = 0
    for table in features_of(subject):
        columns = np.flatnonzero(table.varies & table.spread)
        pair = _first_copy(table, columns)
        if pair is not None:
            return failed(
                f"{table.name(pair[0])} and {table.name(pair[1])} hold the same up to a factor "
                "and a constant",
                where=f"{table.name(pair[0])}, {table.name(pair[1])}",
                remedy="leave one of them out",
                compared=len(columns),
            )
        compared += len(columns)
    return passed(f"no two of {compared} features are copies", compared=compared)


def _first_copy(table: Features, columns: np.ndarray) -> tuple[int, int] | None:
    """Find two columns whose correlation is ±1."""
    if len(table.values) < 3:  # any two columns of two rows are correlated
        return None
    z = (table.values[:, columns] - table.mean[None, columns]) / table.deviation[None, columns]
    # Copies have the same correlation, up to its sign, with a random vector, so that equal ones
    # are neighbours when sorted; only neighbours are compared entry by entry.
    seen = np.abs(np.random.default_rng(0).normal(size=len(z)) @ z)
    order = np.argsort(seen)
    for one, other in pairwise(order):
        if seen[other] - seen[one] < 1e-4 * len(z) ** 0.5:
            correlation = abs(float(z[:, one] @ z[:, other])) / len(z)
            if correlation > 1 - 1e-9 or np.abs(correlation - 1) < 1e-6:
                first, second = sorted((int(columns[one]), int(columns[other])))
                return first, second
    return None
