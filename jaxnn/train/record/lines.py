"""Lines of JSON with a checksum each, for files that grow while they are read."""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["append_line", "as_number", "read_lines", "replace_file", "sealed"]

_SEAL = re.compile(rb', "crc32": (\d{1,10})\}\Z')


def sealed(fields: Mapping[str, Any]) -> str:
    r"""A line of strict JSON that ends with the CRC-32 of what stands before it.

    Args:
      fields: at least one, none of them called "crc32"; floats that are not finite become
        "nan", "inf" or "-inf".

    >>> sealed({"epoch": 1, "train/loss": math.inf})
    '{"epoch": 1, "train/loss": "inf", "crc32": 794048079}\n'
    """
    plain = {name: _strict(value) for name, value in fields.items()}
    text = json.dumps(plain, allow_nan=False)[:-1]
    return f'{text}, "crc32": {zlib.crc32(text.encode())}}}\n'


def as_number(value: Any) -> float:
    """The float that `sealed` was given.

    >>> as_number("-inf"), as_number(0.5)
    (-inf, 0.5)
    """
    return float(value)


def _strict(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The fields of each line, without the checksum.

    A last line without an end, which a killed process has left or another is writing, is not
    read.

    Raises:
      ValueError: a line is damaged; names the file and the number of the line.
    """
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        seal = _SEAL.search(line)
        if seal is None:
            raise ValueError(f"line {number} of {path} is damaged: it does not end with a checksum")
        text = line[: seal.start()]
        if zlib.crc32(text) != int(seal[1]):
            raise ValueError(f"line {number} of {path} is damaged: its checksum does not match")
        yield json.loads(text + b"}")


def append_line(path: Path, line: str, *, lasting: bool = False) -> None:
    """Add a line to a file.

    Args:
      path: the file.
      line: ends with a newline.
      lasting: whether to wait until all of the file is on the disk.
    """
    with path.open("a", newline="\n") as file:
        file.write(line)
        if lasting:
            _wait_for_disk(file)


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file whole: it is there as it was, or as it will be, and never half written."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        _wait_for_disk(file)
    partial.replace(path)


def _wait_for_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
