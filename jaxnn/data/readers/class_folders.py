"""Read images that lie in one folder for each class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxnn.arguments import check_choice, check_positive_int, missing_extra

__all__ = ["ClassImages", "read_class_folders"]

_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_MODES = {1: "L", 3: "RGB"}
_PLAIN = ("1", "L", "P", "RGB")
_CONVERTIBLE = (*_PLAIN, "CMYK", "LA", "PA", "RGBA", "YCbCr")  # what has 16 bits would be cut off


class ClassImages(NamedTuple):
    """Hold images and the class of each.

    Fields:
      x: (n, height, width, channels) uint8, class after class, by file name in each.
      y: (n,) int32.
      classes: the names of the folders.
    """

    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]


def read_class_folders(
    path: str | os.PathLike[str], *, size: tuple[int, int] | None, channels: int | None
) -> ClassImages:
    """Read every image below the folders of a folder; see `jaxnn.data.from_image_folders`.

    Raises:
      FileNotFoundError, ImportError, ValueError: see there.
    """
    if size is not None:
        if not isinstance(size, (tuple, list)) or len(size) != 2:
            raise ValueError(f"size must be (height, width), got {size!r}")
        size = (check_positive_int("size", size[0]), check_positive_int("size", size[1]))
    if channels is not None:
        check_choice("channels", check_positive_int("channels", channels), _MODES)
    image = _pillow()
    files = _files(Path(path))
    y = np.repeat(np.arange(len(files), dtype=np.int32), [len(paths) for paths in files.values()])
    x: np.ndarray | None = None
    first: Path | None = None
    for number, file in enumerate(file for paths in files.values() for file in paths):
        pixels = _pixels(image, file, size, channels)
        if x is None or first is None:
            x, first = np.empty((len(y), *pixels.shape), np.uint8), file
        if pixels.shape != x.shape[1:]:
            raise ValueError(
                f"{file} must have the height, width and channels of {first}, {x.shape[1:]}, got "
                f"{pixels.shape}; size= and channels= bring all to one"
            )
        x[number] = pixels
    assert x is not None  # a class without images was refused
    return ClassImages(x, y, tuple(files))


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra("reading images", "images") from error
    return Image


def _files(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise FileNotFoundError(f"{path} must be a folder with one folder for each class")
    folders = sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not folders:
        raise ValueError(f"{path} must hold one folder for each class, got none")
    files = {folder.name: _images_in(folder) for folder in folders}
    for name, paths in files.items():
        if not paths:
            raise ValueError(
                f"{path / name} must hold images ({', '.join(_ENDINGS)}), got none; every folder "
                "is a class"
            )
    return files


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and file.suffix.lower() in _ENDINGS and not file.name.startswith(".")
    )


def _pixels(
    image: Any, file: Path, size: tuple[int, int] | None, channels: int | None
) -> np.ndarray:
    try:
        with image.open(file) as opened:
            wanted = channels if channels is not None else 1 if opened.mode in ("1", "L") else 3
            if channels is None and opened.mode not in ("1", "L", "RGB", "P"):
                raise ValueError(
                    f"its mode is {opened.mode}, and channels= says what becomes of it"
                )
            picture = opened.convert(_MODES[wanted])
            if size is not None:
                picture = picture.resize((size[1], size[0]), image.Resampling.BILINEAR)
            pixels = np.asarray(picture, np.uint8)
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise ValueError(
            f"{file} must be a readable image of 8 bits, grey or colour (channels= converts those "
            f"with transparency): {error}"
        ) from error
    return pixels if pixels.ndim == 3 else pixels[..., None]
