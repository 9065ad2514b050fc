"""Make data sets from a user's own files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jaxnn.arguments import check_path, check_text
from jaxnn.data.datasets import Data, from_arrays
from jaxnn.data.preprocess.methods import Method
from jaxnn.data.readers.class_folders import read_class_folders
from jaxnn.data.readers.npz import read_npz

__all__ = ["from_image_folders", "from_npz"]


def from_npz(
    path: str | os.PathLike[str],
    *,
    key: Any,
    x: str = "x",
    y: str | None = "y",
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
    preprocess: Method | None = None,
    preprocess_y: Method | None = None,
) -> Data:
    """Read arrays from an `.npz` file, and split them at random into train, val and test.

    Nothing is unpickled, whatever the file holds, and no more memory is taken than the file
    can account for.

    Args:
      path: a file as written by `np.savez` or `np.savez_compressed`.
      key: typed key, raw key or integer seed of the split.
      x: name of the inputs in the file, (n, …).
      y: name of the targets in the file, (n, …); None gives batches of `x` alone.
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`.
      preprocess: as in `from_arrays`.
      preprocess_y: as in `from_arrays`.

    Returns:
      The parts, as `from_arrays` gives them.

    Raises:
      FileNotFoundError: no such file.
      TypeError: entries that are no numbers; a path or a name that is none.
      ValueError: no such name in the file; a file that is no archive, is cut off or damaged,
        holds Python objects, or declares a size that cannot be true; and as `from_arrays`.

    >>> import numpy as np
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(path, x=np.eye(10), y=np.arange(10))
    >>> from_npz(path, key=0).train["x"].shape
    (6, 10)
    """
    check_text("x", x)
    names = [x] if y is None else [x, check_text("y", y)]
    arrays = read_npz(check_path("path", path), names)
    return from_arrays(
        arrays[x],
        None if y is None else arrays[y],
        key=key,
        fractions=fractions,
        stratify=stratify,
        preprocess=preprocess,
        preprocess_y=preprocess_y,
    )


def from_image_folders(
    path: str | os.PathLike[str],
    *,
    key: Any,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: bool = True,
    preprocess: Method | None = "channel_standardize",
) -> Data:
    """Read images that lie in one folder for each class, and split them into parts.

    Reading needs Pillow: `pip install "jaxnn[images]"`.

    Args:
      path: the folder of the folders, whose names, sorted, are the classes. Files and folders
        that are hidden are passed over, and so are files that are no images by their ending.
      key: typed key, raw key or integer seed of the split.
      size: (height, width) to which every image is scaled, bilinearly; None: all must have one
        size.
      channels: 1 for grey, 3 for colour, to which every image is converted; None: those of the
        images, which must be the same for all.
      fractions: as in `from_arrays`.
      stratify: as in `from_arrays`, here by default.
      preprocess: as in `from_arrays`, by default mean 0 and deviation 1 for each channel. None:
        `x` stays uint8 from 0 to 255.

    Returns:
      Parts of `x`, (n, height, width, channels) float32 or uint8, and `y`, (n,) int32; the
      names of the classes are in `Data.classes`.

    Raises:
      FileNotFoundError: no such folder.
      ImportError: Pillow is not installed.
      ValueError: no class folders, a class without images, a file that is no readable image, or
        images of different size or channels, each named; and as `from_arrays`.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for i in range(10):
    ...     where = folder / ("cat", "dog")[i % 2]
    ...     where.mkdir(exist_ok=True)
    ...     Image.fromarray(np.full((4, 6, 3), 20 * i, np.uint8)).save(where / f"{i}.png")
    >>> data = from_image_folders(folder, key=0)
    >>> data.train["x"].shape, data.classes
    ((6, 4, 6, 3), ('cat', 'dog'))
    """
    images = read_class_folders(check_path("path", path), size=size, channels=channels)
    data = from_arrays(
        images.x,
        images.y,
        key=key,
        fractions=fractions,
        stratify=stratify,
        preprocess=preprocess,
    )
    return replace(data, classes=images.classes)
