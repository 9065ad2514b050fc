"""Draw a batch before and after its augmentation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxnn.arguments import check_function, check_positive_int, check_sequence
from jaxnn.data.shapes import check_shapes
from jaxnn.keys import as_key
from jaxnn.report.style import plain_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["augmentation_figure"]

_ACROSS = 8  # pairs in a row
_SIDE = 0.86  # of an image, in inches
# Extreme values, as of a standardized pixel that is hardly ever lit, would leave the rest grey.
_PERCENTILES = (0.5, 99.5)


def augmentation_figure(
    augmentation: Any,
    batch: Any,
    *,
    key: Any = 0,
    rows: int = 8,
    shape: Sequence[int] | None = None,
) -> Figure:
    """Draw the first examples of a batch, and below each its augmented version.

    Black and white are the same values in all images, before and after: the 0.5th and the 99.5th
    percentile of both together. A label stands above each original image, and above an augmented
    image where its label changed, as by mixup.

    Args:
      augmentation: `(key, batch) -> batch`, see `jaxnn.data.augment`.
      batch: mapping with "x" and, where there are labels, "y"; or an array of inputs alone.
        Its first `rows` examples are augmented as a batch of that size.
      key: typed key, raw key or integer seed of the draws.
      rows: the largest number of examples.
      shape: (height, width) or (height, width, channels) of an image, where inputs have another
        layout. None: inputs are (n, height, width) or (n, height, width, channels).

    Returns:
      A matplotlib figure, which a notebook shows as a picture.

    Raises:
      ImportError: matplotlib is not installed (`pip install "jaxnn[report]"`).
      ValueError: `rows` that is no positive integer, or inputs that are no images of 1 or 3
        channels.

    >>> from jaxnn.data import augment, digits
    >>> augmentation = augment.as_images((8, 8, 1), augment.crop(1))
    >>> figure = augmentation_figure(augmentation, digits(key=0).train, rows=4, shape=(8, 8))
    >>> len(figure.axes)
    8

    Source: practice R7.
    """
    rows = check_positive_int("rows", rows)
    check_function("augmentation", augmentation)
    check_shapes("batch", batch)
    shape = None if shape is None else _image_shape(shape)
    before = jax.tree.map(lambda leaf: np.asarray(leaf[:rows]), batch)
    originals = _images(before, shape)  # refused before any are augmented
    after = jax.jit(augmentation)(as_key(key), before)
    pictures = [originals, _images(after, shape)]
    old, new = _labels(before), _labels(after)
    new = ["" if label == was else label for label, was in zip(new, old, strict=True)]
    low, high = _range(pictures)
    with plain_style({"font.size": 8}):
        figure, panels = _panels(pictures[0].shape, lines=_lines(old) + _lines(new))
        for i, pair in enumerate(panels):
            for axes, images, labels in zip(pair, pictures, (old, new), strict=True):
                shade = (images[i] - low) / (high - low)
                axes.imshow(np.clip(shade, 0, 1), cmap="gray", vmin=0, vmax=1)
                axes.set_title(labels[i])
    return figure


def _image_shape(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape.tolist()) if isinstance(shape, np.ndarray) else shape
    sizes = tuple(check_positive_int("shape", n) for n in check_sequence("shape", sizes))
    if len(sizes) not in (2, 3):
        raise ValueError(f"shape must be (height, width) or (height, width, channels), got {sizes}")
    return sizes


def _images(batch: Any, shape: Sequence[int] | None) -> np.ndarray:
    """Return images: grey (n, height, width) or in colour (n, height, width, 3)."""
    if isinstance(batch, Mapping) and "x" not in batch:
        raise ValueError(f'batch must hold "x", got the keys {sorted(map(str, batch))}')
    x = np.asarray(batch["x"] if isinstance(batch, Mapping) else batch)
    if np.iscomplexobj(x):
        raise TypeError(f"batch must hold real numbers as images, got {x.dtype}")
    x = x.astype(np.float64)
    if not np.isfinite(x).any():
        raise ValueError("batch must hold images with at least one finite number, got none")
    if shape is not None and x[0].size != math.prod(shape):
        raise ValueError(
            f"batch must hold rows of {math.prod(shape)} values for shape={tuple(shape)}, got "
            f"shape {x.shape}"
        )
    images = x if shape is None else x.reshape(x.shape[0], *shape)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 and (images.ndim != 4 or images.shape[-1] != 3):
        raise ValueError(
            "batch must hold images of 1 or 3 channels, (n, height, width) or (n, height, width, "
            f"channels), got shape {images.shape}; shape=(height, width) reshapes rows"
        )
    return images


def _range(pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([images.ravel() for images in pictures])
    low, high = np.percentile(values[np.isfinite(values)], _PERCENTILES)
    if low == high:  # such as strokes on less than a hundredth of a blank ground
        low, high = values.min(), values.max()
    return low, high if high > low else low + 1


def _lines(labels: list[str]) -> int:
    return max((label.count("\n") + 1 for label in labels if label), default=0)


def _panels(shape: tuple[int, ...], lines: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Make for each example the axes above and below, in blocks of `_ACROSS` columns.

    `lines` of labels stand above the two of them, together.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from jaxnn.report.picture import Picture

    n, height, width = shape[:3]
    across, blocks = min(n, _ACROSS), -(-n // _ACROSS)
    tall = 2 * _SIDE * height / width + 0.16 * lines + 0.14
    figure = Picture(
        figsize=(across * _SIDE + 0.3, blocks * tall),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0),
        label="a batch before and after augmentation",
    )
    grid = figure.subplots(2 * blocks, across, squeeze=False)
    for line, name in zip(grid[:, 0], ("before", "after") * blocks, strict=True):
        line.set_ylabel(name)
    for axes in grid.flat:
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    pairs = [
        (grid[2 * block, column], grid[2 * block + 1, column])
        for block in range(blocks)
        for column in range(across)
    ]
    for above, below in pairs[n:]:
        above.remove()
        below.remove()
    return figure, pairs[:n]


def _labels(batch: Any) -> list[str]:
    if not isinstance(batch, Mapping):
        return [""] * len(batch)
    y = batch.get("y")
    return [""] * len(batch["x"]) if y is None else [_label(row) for row in np.asarray(y)]


def _label(y: np.ndarray) -> str:
    if y.ndim == 0:
        return f"{y:.3g}" if np.issubdtype(y.dtype, np.floating) else str(y)
    if y.ndim > 1 or (y < 0).any() or abs(y.sum() - 1) > 1e-3:
        return ""  # neither a class nor probabilities
    shares = [(k, y[k]) for k in np.argsort(-y, kind="stable")[:2] if y[k] >= 0.005]
    return str(shares[0][0]) if len(shares) == 1 else "\n".join(f"{k}: {p:.2f}" for k, p in shares)
