"""Read IDX, the format of MNIST: a header with the shape, then the bytes."""

from __future__ import annotations

import math
import os
import struct
from typing import IO

import numpy as np

from jaxnn.data.readers.archive import LIMIT, decompressed, read_exactly

__all__ = ["read_idx"]

_UNSIGNED_BYTES = 0x08


def read_idx(file: IO[bytes], name: str, *, axes: int) -> np.ndarray:
    """Read the array of unsigned bytes in an IDX file, plain or in gzip.

    The header is the magic number 0x000008kk, kk the number of axes, and k lengths, all of
    them 32-bit big-endian integers. It is checked before the bytes are read.

    Args:
      file: open at its start and seekable.
      name: of the file, for messages.
      axes: number of axes expected: 3 for images (count, height, width), 1 for labels.

    Returns:
      uint8 array with that many axes.

    Raises:
      ValueError: another magic number, a length of 0, fewer or more bytes than the header
        declares, more than `jaxnn.data.readers.archive.LIMIT`, or broken gzip.

    >>> import io
    >>> header = struct.pack(">3I", 0x0802, 2, 3)
    >>> read_idx(io.BytesIO(header + bytes(range(6))), "small.idx", axes=2)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
    """
    stream = decompressed(file, name)
    header = read_exactly(stream, 4 * (1 + axes), name)
    magic, *shape = struct.unpack(f">{1 + axes}I", header)
    expected = _UNSIGNED_BYTES << 8 | axes
    if magic != expected:
        raise ValueError(
            f"{name} must begin with the magic number 0x{expected:08x} (IDX, unsigned "
            f"bytes, {axes} axes), got 0x{magic:08x}"
        )
    size = math.prod(shape)
    if not 0 < size <= LIMIT:
        raise ValueError(
            f"{name} must hold 1 to {LIMIT} bytes of data, declares {size} (shape {tuple(shape)})"
        )
    if stream is file:
        _check_length(file, len(header) + size, name)
    data = read_exactly(stream, size, name)
    if stream.read(1):  # and the checksum of gzip, which stands at the end
        raise ValueError(f"{name} holds more than the {size} bytes of data that it declares")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _check_length(file: IO[bytes], expected: int, name: str) -> None:
    position = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(position)
    if length != expected:
        raise ValueError(f"{name} must have the {expected} bytes that it declares, has {length}")
