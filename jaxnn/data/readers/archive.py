"""Read compressed files and archives without trusting the sizes that they declare.

Nothing here allocates for a size that a header merely claims: bytes are read a piece at a
time, and never more than `LIMIT` of them. Nothing is ever extracted to disk.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, Protocol, TypeVar

__all__ = ["LIMIT", "Readable", "decompressed", "read_exactly", "read_members"]

LIMIT = 2**31
"""Most bytes that a file may hold once decompressed; CIFAR-10 has 1.8e8."""

_PIECE = 2**20
_MOST_PADDING = 2**16  # zeros after the end of a gzip file, as on tapes
_MOST_MEMBERS = 1000
_GZIP = b"\x1f\x8b"
# tarfile raises these on headers that make no sense; some of them by accident.
_MALFORMED = (tarfile.TarError, ValueError, IndexError, RecursionError)

T = TypeVar("T")


class Readable(Protocol):
    """The part of the file interface that a parser may use."""

    def read(self, size: int, /) -> bytes: ...


def decompressed(file: IO[bytes], name: str) -> Readable:
    """Open a file's contents, decompressed where it is a gzip file.

    Args:
      file: open at its start and seekable.
      name: of the file, for messages.

    Returns:
      `file` itself, or the stream of decompressed bytes. Its `read` gives fewer bytes than
      asked for only at the end, and raises a ValueError where the gzip file is broken.

    Raises:
      ValueError: a file of more than `LIMIT` bytes.
    """
    length = file.seek(0, os.SEEK_END)
    if length > LIMIT:
        raise ValueError(f"{name} must have at most {LIMIT} bytes, has {length}")
    file.seek(0)
    magic = file.read(len(_GZIP))
    file.seek(0)
    return _Unzipped(file, name) if magic == _GZIP else file


class _Unzipped:
    """Read a gzip file of one member, and verify its checksum at the end.

    The standard library's reader skips zeros behind the end one by one, however many.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16 says gzip

    def read(self, size: int, /) -> bytes:
        data = bytearray()
        while len(data) < size and not self._inflate.eof:
            data += self._some(size - len(data))
        return bytes(data)

    def _some(self, most: int) -> bytes:
        fresh = self._inflate.unconsumed_tail or self._file.read(_PIECE)
        try:
            data = self._inflate.decompress(fresh, most)
        except zlib.error as error:
            raise ValueError(f"{self._name} is a broken gzip file: {error}") from error
        if self._inflate.eof:
            rest = self._inflate.unused_data + self._file.read(_MOST_PADDING)
            if any(rest) or self._file.read(1):
                raise ValueError(f"{self._name} is a broken gzip file: bytes behind its end")
        elif not fresh and not data:
            raise ValueError(f"{self._name} is a broken gzip file: it is cut off")
        return data


def read_exactly(stream: Readable, size: int, name: str) -> bytearray:
    """Read the next `size` bytes; memory grows only with the bytes that are really there.

    Args:
      stream: where to read.
      size: bytes expected, at most `LIMIT`.
      name: of the file, for the message.

    Returns:
      The bytes.

    Raises:
      ValueError: the stream ends before.

    >>> import io
    >>> read_exactly(io.BytesIO(b"abc"), 2**30, "letters.bin")
    Traceback (most recent call last):
    ...
    ValueError: letters.bin is cut off: 3 bytes are left where 1073741824 should be
    """
    data = bytearray()
    while piece := stream.read(min(_PIECE, size - len(data))):
        data += piece
    if len(data) < size:
        raise ValueError(f"{name} is cut off: {len(data)} bytes are left where {size} should be")
    return data


def read_members(
    file: IO[bytes], name: str, wanted: Collection[str], read: Callable[[Readable, int, str], T]
) -> dict[str, T]:
    """Parse the wanted members of a tar archive while reading it once.

    Any member with an absolute path, with `..`, or that is a link or a device, makes the
    whole archive untrustworthy and is refused, wanted or not.

    Args:
      file: the archive, plain or in gzip, open at its start and seekable.
      name: of the archive, for messages.
      wanted: names of the members, their paths within the archive.
      read: `(stream, size, name) -> value`, called once for each.

    Returns:
      The values by name.

    Raises:
      ValueError: a broken archive, one as above, or one where a wanted member is missing or
        there twice.
    """
    values: dict[str, T] = {}
    source = _Forward(decompressed(file, name))
    for tar, member in _members(source, name):
        path = str(PurePosixPath(member.name))  # "./a" is "a"
        if path not in wanted:
            continue
        place = f"{name}: {path}"
        if not member.isfile() or path in values:
            raise ValueError(f"{place} must be there once, and as a file")
        contents = tar.extractfile(member)
        assert contents is not None  # it is a regular file
        with _tar_errors(name, (tarfile.TarError,)):
            values[path] = read(contents, member.size, place)
    with _tar_errors(name, (tarfile.TarError,)):
        while source.read(_PIECE):  # on to the checksum at the end
            pass
    if missing := [path for path in wanted if path not in values]:
        raise ValueError(f"{name} must hold {', '.join(missing)}")
    return values


def _members(source: _Forward, name: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    with _tar_errors(name, _MALFORMED):
        # The type checker wants a whole file; tarfile reads with these three methods alone.
        tar = tarfile.TarFile(fileobj=source, mode="r")  # type: ignore[arg-type]
    for _ in range(_MOST_MEMBERS):
        with _tar_errors(name, _MALFORMED):
            member = tar.next()
        if member is None:
            return
        _refuse_unsafe(member, name)
        yield tar, member
    raise ValueError(f"{name} holds more than {_MOST_MEMBERS} members")


def _refuse_unsafe(member: tarfile.TarInfo, name: str) -> None:
    place = f"{name}: {member.name!r}"
    for path in (PurePosixPath(member.name), PureWindowsPath(member.name)):
        if path.anchor or ".." in path.parts:
            raise ValueError(f"{place} leads out of the archive; nothing of it was read")
    # isreg() would let sparse files pass, whose size is whatever they declare.
    regular = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not (regular or member.isdir()):
        raise ValueError(f"{place} is a link, a device or sparse; nothing of it was read")
    if not 0 <= member.size <= LIMIT:
        raise ValueError(f"{place} declares {member.size} bytes, more than {LIMIT}")


@contextmanager
def _tar_errors(name: str, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise ValueError(f"{name} is a broken tar archive: {error}") from error


class _Forward:
    """Read a stream forward only, in small reads, up to `LIMIT` bytes.

    `tarfile` passes on the sizes that headers declare, and what lies below would allocate a
    declared 2^40.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int, /) -> bytes:
        if not 0 <= size <= _PIECE or self._position > LIMIT:
            raise tarfile.ReadError(f"a header declares {size} bytes at byte {self._position}")
        data = self._stream.read(size)
        self._position += len(data)
        return data

    def seek(self, position: int, /) -> int:
        if not self._position <= position <= LIMIT:
            raise tarfile.ReadError(f"a header points to byte {position}")
        while self.read(min(_PIECE, position - self._position)):
            pass
        return self._position
