"""The scales of axes: linear or logarithmic, and how far they reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["ZERO_GAP", "Scale", "fitting_scale", "places"]

ZERO_GAP = 0.12  # of a "log0" axis, between 0 and the lowest positive value

_PERCENTILES = (1, 99)
_CLEARLY = 0.1  # of an axis
_OUTLYING = 3.0  # times the range between the percentiles, beyond which the rest would be squeezed


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`.

    Attributes:
      kind: "linear", "log", or "log0": logarithmic from `low`, with a place below it for 0.
      low, high: the ends of the axis; values beyond lie at its ends.
      cropped: whether there are such values.
    """

    kind: Literal["linear", "log", "log0"]
    low: float
    high: float
    cropped: bool = False


def fitting_scale(values: np.ndarray, *, may_be_log: bool = True, knob: bool = False) -> Scale:
    """Choose a scale on which the values of a knob or a measurement can be told apart.

    It is logarithmic where the values are positive and span more than a decade. A knob such as
    the strength of a penalty may be 0 beside that; and one that was drawn evenly from an interval
    stays linear, however near to 0 its lowest value came.

    Args:
      values: what is not finite does not count.
      may_be_log: False: linear in any case.
      knob: whether this is a knob, whose axis shows all values. Another axis leaves out a few
        that lie far from all others.

    >>> fitting_scale(np.array([1e-4, 1e-1]))
    Scale(kind='log', low=0.0001, high=0.1, cropped=False)
    >>> fitting_scale(np.array([0.0, 1e-4, 1e-1])).kind, fitting_scale(np.array([0.0, 1.0])).kind
    ('log0', 'linear')
    >>> fitting_scale(np.linspace(1e-3, 0.5, 9), knob=True).kind
    'linear'
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Scale("linear", 0.0, 1.0)
    positive = finite[finite > 0]
    spans = positive.size > 0 and positive.max() > 10 * positive.min()
    may_be_log = may_be_log and spans and finite.min() >= 0
    if may_be_log and not (knob and _lies_in_the_middle(positive)):
        kind = "log" if len(positive) == len(finite) else "log0"
        low, high, cropped = _reach(np.log(positive), knob)
        return _scale(kind, np.exp(low), np.exp(high), cropped)
    low, high, cropped = _reach(finite, knob)
    return _scale("linear", low, high, cropped)


def places(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Say where on an axis values lie, from 0 at its low end to 1; NaN: not finite.

    >>> places(np.array([0.0, 1e-4, 1e-1, 7.0]), Scale("log0", 1e-4, 1e-1)).round(6)
    array([0.  , 0.12, 1.  , 1.  ])
    """
    low, high, raised = scale.low, scale.high, values
    if scale.kind != "linear":
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high, raised = np.log(low), np.log(high), np.log(values)
    share = (
        np.clip((raised - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
    )
    if scale.kind == "log0":
        share = np.where(values > 0, ZERO_GAP + (1 - ZERO_GAP) * share, 0.0)
    return np.where(np.isfinite(values), share, np.nan)


def _lies_in_the_middle(positive: np.ndarray) -> bool:
    """Whether the median lies in the middle of the values, and of their logarithms does not."""

    def off(values: np.ndarray) -> float:
        low, high = values.min(), values.max()
        return abs((np.median(values) - low) / ((high - low) or 1.0) - 0.5)

    return off(positive) < off(np.log(positive)) - _CLEARLY


def _reach(values: np.ndarray, knob: bool) -> tuple[float, float, bool]:
    low, high = values.min(), values.max()
    inner = np.percentile(values, _PERCENTILES)
    width = inner[1] - inner[0]
    if knob or not width or high - low <= _OUTLYING * width:
        return low, high, False
    return max(low, inner[0] - 0.05 * width), min(high, inner[1] + 0.05 * width), True


def _scale(kind: Literal["linear", "log", "log0"], low: float, high: float, cropped: bool) -> Scale:
    return Scale(kind, float(f"{low:.6g}"), float(f"{high:.6g}"), cropped)
