"""Read `.npz` archives without trusting the sizes that they declare.

Nothing is ever unpickled. Memory is taken only once a member's header, its size in the
archive and the size of the archive itself agree on how much it is.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.lib.format

__all__ = ["read_npz"]

_DEFLATE_AT_MOST = 1032  # bytes that the format can make of one
_LARGE = 2**30
_RATIO_OF_LARGE = 100  # float arrays shrink by a few times, images that are mostly 0 by thirty


def read_npz(path: str | os.PathLike[str], names: Sequence[str] | None = None) -> dict:
    """Read arrays of an `.npz` archive by their names.

    Args:
      path: the file.
      names: of the arrays to read; None reads all.

    Returns:
      The arrays, in the machine's byte order.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no such name; or, named with file and member, a file that is no archive, is cut
        off or damaged, holds Python objects, or declares a size that cannot be true.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pair.npz"
    >>> np.savez(path, x=np.arange(3))
    >>> read_npz(path)
    {'x': array([0, 1, 2])}
    """
    size = Path(path).stat().st_size
    with _broken(f"{path}, which should be an .npz archive,"):
        archive = zipfile.ZipFile(path)
    with archive:
        members = _members(archive, path)
        wanted = list(members) if names is None else names
        for name in wanted:
            if name not in members:
                raise ValueError(f"{path} holds no {name!r}; it has {', '.join(members)}")
        return {name: _read(archive, members[name], f"{path}: {name}", size) for name in wanted}


def _members(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"{path} holds {name!r} twice")
        members[name] = info
    return members


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: str, size: int) -> np.ndarray:
    _check_compression(info, place, size)
    with _broken(place):
        stream = archive.open(info)
    with stream:
        with _broken(place):
            shape, fortran_order, dtype = _read_header(stream)
            left = info.file_size - stream.tell()
        if dtype.hasobject:
            raise ValueError(f"{place} holds Python objects, a pickle, which can run any code")
        if dtype.kind == "V" or dtype.itemsize == 0:
            raise ValueError(f"{place} must hold plain numbers, got dtype {dtype}")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
            raise ValueError(f"{place} declares shape {shape} of {dtype}, and holds {left} bytes")
        data = np.empty(left, np.uint8)
        with _broken(place):
            _fill(data, stream)
            array = data.view(dtype).reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _check_compression(info: zipfile.ZipInfo, place: str, size: int) -> None:
    most = {
        zipfile.ZIP_STORED: info.compress_size,
        zipfile.ZIP_DEFLATED: info.compress_size * _DEFLATE_AT_MOST,
    }
    if info.compress_type not in most:
        raise ValueError(f"{place} is compressed as no .npz member is, type {info.compress_type}")
    if info.compress_size > size or info.file_size > most[info.compress_type]:
        raise ValueError(
            f"{place} declares {info.file_size} bytes, which its {info.compress_size} bytes of "
            f"an archive of {size} cannot hold"
        )
    if info.file_size > max(_LARGE, info.compress_size * _RATIO_OF_LARGE):
        raise ValueError(
            f"{place} would grow from {info.compress_size} bytes to {info.file_size}, as a zip "
            "bomb does; if you trust it, read it with np.load and give the arrays to from_arrays"
        )


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = numpy.lib.format.read_magic(stream)
    if version != (1, 0):  # later ones are for the long headers of structured arrays
        raise ValueError(f"its format is version {version}, not (1, 0)")
    return numpy.lib.format.read_array_header_1_0(stream)


def _fill(data: np.ndarray, stream: IO[bytes]) -> None:
    view = data.data
    while view:
        count = stream.readinto(view[: 2**20])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"{len(view)} bytes are missing at its end")
        view = view[count:]
    stream.read(1)  # only at the end is the checksum looked at


@contextmanager
def _broken(place: str) -> Iterator[None]:
    # Damaged bytes make zipfile, zlib and NumPy's parser raise errors of many types.
    try:
        yield
    except Exception as error:
        raise ValueError(f"{place} is broken: {str(error) or type(error).__name__}") from error
