"""Read the training and test pictures of a folder as uint8, from any form of the files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnn.arguments import check_path
from jaxnn.data.readers.archive import read_members
from jaxnn.data.readers.cifar import read_records
from jaxnn.data.readers.download import cache_folder, opened, provide
from jaxnn.data.readers.idx import read_idx
from jaxnn.data.readers.originals import ImageSet, Original

__all__ = ["Pictures", "read_binary", "read_idx_files"]

_CLASSES = 10
_BINARY_FOLDER = "cifar-10-batches-bin"
_BINARY_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


class Pictures(NamedTuple):
    """Hold pictures and the class of each.

    Fields:
      x: (n, height, width, channels) uint8.
      y: (n,) uint8 from 0 to 9.
    """

    x: np.ndarray
    y: np.ndarray


def read_idx_files(
    source: ImageSet, folder: str | os.PathLike[str] | None, download: bool, verify: bool
) -> tuple[Pictures, Pictures]:
    """Read the training and the test part of a data set of four IDX files.

    Args:
      source: the data set.
      folder: where its files are, unpacked or not. None: the cache.
      download: whether to fetch missing files.
      verify: whether only the original files will do; in the cache nothing else will.

    Raises:
      FileNotFoundError: files that are not there, without `download`.
      OSError: a download that failed.
      ValueError: a file that is damaged, is not the original, or does not match the
        others.
    """
    where, verified = _place(source, folder, verify)

    def find(original: Original) -> Path | None:
        names = [original.name] if verified else [original.name, Path(original.name).stem]
        return next((where / name for name in names if (where / name).is_file()), None)

    provide(source, [file for file in source.files if find(file) is None], where, download)
    paths = [find(file) or where / file.name for file in source.files]
    arrays = []
    for path, original, axes in zip(paths, source.files, (3, 1, 3, 1), strict=True):
        with opened(path, original if verified else None) as file:
            arrays.append(read_idx(file, str(path), axes=axes))
    train_x, train_y, test_x, test_y = arrays
    if train_x.shape[1:] != test_x.shape[1:]:
        raise ValueError(
            f"{paths[2]} must hold pictures of the size of {paths[0]}, {train_x.shape[1:]}, "
            f"got {test_x.shape[1:]}"
        )
    return (
        _checked(train_x[..., None], train_y, paths[0], paths[1]),
        _checked(test_x[..., None], test_y, paths[2], paths[3]),
    )


def read_binary(
    source: ImageSet, folder: str | os.PathLike[str] | None, download: bool, verify: bool
) -> tuple[Pictures, Pictures]:
    """Read the training and the test part of CIFAR-10; arguments as for `read_idx_files`.

    Raises:
      FileNotFoundError, OSError, ValueError: as above.
    """
    where, verified = _place(source, folder, verify)
    (original,) = source.files
    archive = where / original.name
    unpacked = None if archive.is_file() or verified else _unpacked(where)
    if unpacked is not None:
        *train, test = (_read_unpacked(unpacked / file) for file in _BINARY_FILES)
    else:
        if not archive.is_file():
            provide(source, [original], where, download)
        *train, test = _read_archive(archive, original if verified else None)
    return Pictures(*(np.concatenate(arrays) for arrays in zip(*train, strict=True))), test


def _read_archive(archive: Path, original: Original | None) -> list[Pictures]:
    members = [f"{_BINARY_FOLDER}/{file}" for file in _BINARY_FILES]
    with opened(archive, original) as stream:
        values = read_members(stream, str(archive), members, read_records)
    places = [f"{archive}: {path}" for path in members]
    return [
        _checked(*values[path], place, place) for path, place in zip(members, places, strict=True)
    ]


def _place(
    source: ImageSet, folder: str | os.PathLike[str] | None, verify: bool
) -> tuple[Path, bool]:
    """Return the folder of the files, and whether they must be the originals."""
    if folder is None:
        return cache_folder(source.name), True
    return check_path("folder", folder), verify


def _unpacked(where: Path) -> Path | None:
    for folder in (where, where / _BINARY_FOLDER):
        if all((folder / file).is_file() for file in _BINARY_FILES):
            return folder
    return None


def _read_unpacked(path: Path) -> Pictures:
    with path.open("rb") as stream:
        x, y = read_records(stream, os.fstat(stream.fileno()).st_size, str(path))
    return _checked(x, y, path, path)


def _checked(x: np.ndarray, y: np.ndarray, x_place: object, y_place: object) -> Pictures:
    if len(x) != len(y):
        raise ValueError(
            f"{y_place} must hold a label for each of the {len(x)} pictures of {x_place}, got "
            f"{len(y)} labels"
        )
    wrong = np.flatnonzero(y >= _CLASSES)
    if wrong.size:
        raise ValueError(
            f"{y_place} must hold labels from 0 to {_CLASSES - 1}, got {y[wrong[0]]} at "
            f"index {wrong[0]}"
        )
    return Pictures(x, y)
