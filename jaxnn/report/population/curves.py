"""The curves of all members, small enough for a page."""

from __future__ import annotations

import base64

import numpy as np

from jaxnn.report.population.scales import Scale, places

__all__ = ["kept_epochs", "packed"]

_STEPS = 65534  # between the ends of the axis
_BYTES = 1_200_000  # of all curves of a page together
_MOST_POINTS, _FEWEST_POINTS = 240, 12  # of a curve


def kept_epochs(epochs: int, curves: int) -> np.ndarray:
    """Choose the epochs whose values are drawn: all, or evenly many of them with both ends.

    Args:
      epochs: how many there are.
      curves: of all members and all values together.

    Returns:
      Indices of epochs, from 0.

    >>> kept_epochs(3, 10)
    array([0, 1, 2])
    >>> kept_epochs(1000, 8000)[[0, 1, -1]], len(kept_epochs(1000, 8000))
    (array([  0,  18, 999]), 56)
    """
    fit = int(_BYTES / (max(curves, 1) * 2 * 4 / 3))
    points = min(epochs, max(_FEWEST_POINTS, min(fit, _MOST_POINTS)))
    return np.unique(np.linspace(0, max(epochs - 1, 0), points).round().astype(int))


def packed(values: np.ndarray, scale: Scale) -> str:
    """Write values as places on an axis, two bytes each.

    Args:
      values: of any shape, such as (members, epochs).
      scale: the axis; places beyond its ends are at its ends.

    Returns:
      Base64 of little-endian 16-bit numbers: 0 for what is not finite, else 1 at the low end to
      65535 at the high end.

    >>> base64.b64decode(packed(np.array([0.0, 1.0, np.nan]), Scale("linear", 0.0, 1.0)))
    b'\\x01\\x00\\xff\\xff\\x00\\x00'
    """
    share = places(values, scale)
    codes = np.where(np.isnan(share), 0, 1 + np.nan_to_num(share) * _STEPS).round()
    return base64.b64encode(codes.astype("<u2").tobytes()).decode()
