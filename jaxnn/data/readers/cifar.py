"""Read the binary format of CIFAR-10: records of a label and a picture of 32×32."""

from __future__ import annotations

import numpy as np

from jaxnn.data.readers.archive import LIMIT, Readable, read_exactly

__all__ = ["RECORD", "read_records"]

_PICTURE = (3, 32, 32)  # a plane each of red, green and blue

RECORD = 1 + 3 * 32 * 32
"""Bytes of a record."""


def read_records(stream: Readable, size: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the pictures and labels of a file of records.

    Args:
      stream: of the records.
      size: its length in bytes: of the file, or as the archive declares it.
      name: of the file, for messages.

    Returns:
      Pictures (n, 32, 32, 3) uint8, channels last, and labels (n,) uint8.

    Raises:
      ValueError: no records, a size that is not a whole number of them or above
        `jaxnn.data.readers.archive.LIMIT`, or fewer bytes than that.

    >>> import io
    >>> record = bytes([7] + 1024 * [255] + 2048 * [0])
    >>> pictures, labels = read_records(io.BytesIO(record), 3073, "red.bin")
    >>> pictures.shape, pictures[0, 0, 0], labels
    ((1, 32, 32, 3), array([255,   0,   0], dtype=uint8), array([7], dtype=uint8))

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    if not 0 < size <= LIMIT or size % RECORD:
        raise ValueError(
            f"{name} must have a whole number of records of {RECORD} bytes, at least 1 and at "
            f"most {LIMIT // RECORD}, has {size} bytes"
        )
    records = np.frombuffer(read_exactly(stream, size, name), np.uint8).reshape(-1, RECORD)
    planes = records[:, 1:].reshape(-1, *_PICTURE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()
