"""The arguments of windows that convolution and pooling share: sizes, strides and padding.

A window has one to three spatial axes. A tuple says how many, by its length. A single number stands
for both axes of images, and asks for inputs (n, h, w, channels): with fewer or more axes it could
mean several things, and would mix examples where the guess is wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_choice, check_positive_int

__all__ = [
    "Padding",
    "Window",
    "check_spatial",
    "explicit_pairs",
    "padding_pairs",
    "steps_of",
    "window_of",
]

Window = int | Sequence[int]
Padding = str | int | Sequence[Any]

_AXES = {1: "time", 2: "h, w", 3: "d, h, w"}


def window_of(name: str, value: Window) -> tuple[int, ...]:
    """Expand the size of a window; a single number gives both axes of images.

    Raises:
      ValueError: if `value` is neither a positive integer nor one to three of them.

    >>> window_of("window_shape", 2), window_of("window_shape", (2,))
    ((2, 2), (2,))
    """
    sizes: Any = (value, value) if _is_integer(value) else value
    if (
        not isinstance(sizes, Sequence)
        or isinstance(sizes, (str, bytes))
        or not 1 <= len(sizes) <= 3
    ):
        raise ValueError(
            f"{name} must be a positive integer, or one to three of them, got {value!r}"
        )
    return tuple(check_positive_int(name, size) for size in sizes)


def steps_of(name: str, value: Window, axes: int) -> tuple[int, ...]:
    """Expand strides or dilation to one positive integer for each spatial axis.

    Raises:
      ValueError: if `value` is neither a positive integer nor as many of them as there are axes.

    >>> steps_of("strides", 2, axes=3)
    (2, 2, 2)
    """
    steps: Any = (value,) * axes if _is_integer(value) else value
    if not _is_sequence(steps) or len(steps) != axes:
        raise ValueError(
            f"{name} must be a positive integer, or one for each of the window's {axes} axes, "
            f"got {value!r}"
        )
    return tuple(check_positive_int(name, step) for step in steps)


def check_spatial(name: str, value: Window, x: jax.Array) -> int:
    """Return the number of spatial axes of `x`, (…, spatial axes, channels), that a window has.

    Args:
      name: name of the argument that says the window's size.
      value: that argument.
      x: the inputs.

    Raises:
      ValueError: if `x` has too few axes, or the window is a single number and `x` is not
        (n, h, w, channels).
    """
    window = window_of(name, value)
    if _is_integer(value) and x.ndim != 4:
        raise ValueError(
            f"x must be images (n, h, w, channels) where {name} is a single number, got shape "
            f"{x.shape}; a tuple has a size for each spatial axis: {name}=({value},) for sequences "
            f"(..., time, channels), ({value}, {value}) for images (..., h, w, channels), and "
            f"({value}, {value}, {value}) for volumes"
        )
    if x.ndim <= len(window):
        raise ValueError(
            f"x must have the axes (..., {_AXES[len(window)]}, channels) for a {name} of "
            f"{value!r}, got shape {x.shape}"
        )
    return len(window)


def padding_pairs(
    padding: Padding, sizes: Sequence[int], reach: Sequence[int], steps: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Expand any form of `padding` to pairs (before, behind), one for each spatial axis.

    Args:
      padding: "SAME", "VALID", a number, or for each axis a number or a pair.
      sizes: sizes of the inputs.
      reach: extent of the window, including the gaps of dilation.
      steps: strides of the window.

    Raises:
      ValueError: if `padding` has another form, or the window exceeds the padded inputs.

    >>> padding_pairs("SAME", (28, 28), (3, 3), (2, 2))
    ((0, 1), (0, 1))
    """
    if isinstance(padding, str):
        check_choice("padding", padding, ("SAME", "VALID"))
        # There are ceil(size / step) outputs; of an odd padding the extra entry goes behind.
        missing = [
            max(-(-size // step) * step - step + extent - size, 0) if padding == "SAME" else 0
            for size, extent, step in zip(sizes, reach, steps, strict=True)
        ]
        pairs = tuple((total // 2, total - total // 2) for total in missing)
    else:
        pairs = explicit_pairs(padding, len(sizes))
    for size, pair, extent in zip(sizes, pairs, reach, strict=True):
        if size + sum(pair) < extent:
            raise ValueError(
                f"the window must fit into the padded inputs, {tuple(sizes)} with padding "
                f"{pairs}, got a window that spans {tuple(reach)}"
            )
    return pairs


def explicit_pairs(padding: Any, axes: int) -> tuple[tuple[int, int], ...]:
    """Expand numbers of zeros to pairs (before, behind), one for each spatial axis.

    >>> explicit_pairs((1, (0, 2)), axes=2)
    ((1, 1), (0, 2))
    """
    try:
        if not _is_integer(padding) and not _is_sequence(padding):
            raise TypeError
        each: list[Any] = [padding] * axes if _is_integer(padding) else list(padding)
        pairs = [(p, p) if _is_integer(p) else tuple(p) for p in each]
        pairs = [tuple(operator.index(p) for p in pair if _is_integer(p)) for pair in pairs]
    except (TypeError, ValueError):
        pairs = []
    if len(pairs) != axes or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(
            'padding must be "SAME", "VALID", an integer of at least 0, or for each of the '
            f"{axes} spatial axes one or a pair (before, behind), got {padding!r}"
        )
    return tuple((pair[0], pair[1]) for pair in pairs)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
