"""Keep, check by hash, and download the original files of public data sets.

A file is written under another name in the same folder, and renamed only when its length and its
SHA-256 are right. So the folder holds the whole original file, or none.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from jaxnn.data.readers.originals import ImageSet, Original

__all__ = ["cache_folder", "download_files", "opened", "provide"]

_PIECE = 2**16
_TIMEOUT = 30.0  # seconds without a byte


def cache_folder(name: str) -> Path:
    """Return the folder in which the files of a data set are kept.

    That is `NAME` in the folder that the environment variable JAXNN_DATA names, or else in
    `jaxnn` of the user's cache: $XDG_CACHE_HOME, or ~/.cache. It may not exist.

    Args:
      name: of the data set, such as "mnist".
    """
    root = os.environ.get("JAXNN_DATA") or (
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "jaxnn"
    )
    return Path(root).expanduser() / name


def provide(source: ImageSet, missing: Sequence[Original], folder: Path, download: bool) -> None:
    """Download missing files, or raise an error that names them and the remedies.

    Args:
      source: the data set.
      missing: those of its files that are not in `folder`.
      folder: where they belong.
      download: whether to fetch them.

    Raises:
      FileNotFoundError: files are missing, and `download` is False.
      OSError: no mirror gave a file, or it could not be written.
    """
    if not missing:
        return
    by_hand = (
        f"put them into {folder} by hand (they are at {' and '.join(source.mirrors)}), or name "
        "the folder that holds them with folder= (--data-folder)"
    )
    names = ", ".join(file.name for file in missing)
    if not download:
        megabytes = sum(file.size for file in missing) / 1e6
        raise FileNotFoundError(
            f"{source.name} lacks {names} in {folder}; fetch them, {megabytes:.1f} MB, with "
            f"download=True (--download), or {by_hand}"
        )
    try:
        download_files(missing, source.mirrors, folder)
    except _NoMirror as error:
        raise OSError(
            f"{source.name} lacks {names} in {folder}, and {error}; try again later, or {by_hand}"
        ) from error


@contextmanager
def opened(path: Path, original: Original | None) -> Iterator[IO[bytes]]:
    """Open a file for reading, after checking that it is the original.

    Args:
      path: of the file.
      original: the file that it must be; None accepts any.

    Yields:
      The file that was checked, at its start.

    Raises:
      ValueError: another length or SHA-256.
    """
    with path.open("rb") as file:
        if original is not None:
            # The length first, for the hash of a huge file takes long.
            length = os.fstat(file.fileno()).st_size
            if length != original.size:
                raise ValueError(_not_original(path, f"{original.size} bytes", f"{length}"))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != original.sha256:
                raise ValueError(_not_original(path, f"SHA-256 {original.sha256}", digest))
            file.seek(0)
        yield file


def _not_original(path: Path, expected: str, got: str) -> str:
    return (
        f"{path} must have {expected}, got {got}; it is broken, or not the original that the cache "
        "and verify=True ask for: delete it and fetch it again"
    )


def download_files(files: Sequence[Original], mirrors: Sequence[str], folder: Path) -> None:
    """Fetch files into a folder, with a progress bar on standard error.

    Args:
      files: the files to fetch, in this order. An existing file of that name is replaced.
      mirrors: URLs of folders, tried in this order for each file.
      folder: made if need be.

    Raises:
      OSError: no mirror gave a file of the right length and SHA-256, or it could not be
        written. Files before it in `files` stay; nothing of the failed file does.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        for file in files:
            task = bar.add_task(file.name, total=file.size)
            _from_any(file, mirrors, folder, lambda done, t=task: bar.update(t, completed=done))


class _NoMirror(OSError):
    """Raised when every mirror failed."""


class _Failed(Exception):
    """Raised when one mirror did not give the file."""


def _from_any(
    file: Original, mirrors: Sequence[str], folder: Path, show: Callable[[int], Any]
) -> None:
    reasons = []
    for mirror in mirrors:
        url = mirror + file.name
        try:
            _fetch(url, file, folder, show)
            return
        except _Failed as failure:
            reasons.append(f"{url}: {failure}")
    raise _NoMirror(f"{file.name} could not be downloaded ({'; '.join(reasons)})")


def _fetch(url: str, file: Original, folder: Path, show: Callable[[int], Any]) -> None:
    from urllib.request import urlopen

    with _failures_of_network():
        response = urlopen(url, timeout=_TIMEOUT)
    with response:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{file.name}.{uuid.uuid4().hex}.part"
        try:
            with partial.open("xb") as out:
                _copy(response, out, file, show)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(folder / file.name)
        finally:  # also after Ctrl-C
            partial.unlink(missing_ok=True)


def _copy(response: Any, out: IO[bytes], file: Original, show: Callable[[int], Any]) -> None:
    digest, done = hashlib.sha256(), 0
    while True:
        with _failures_of_network():
            piece = response.read(_PIECE)
        if not piece:
            break
        done += len(piece)
        if done > file.size:
            raise _Failed(f"more than the expected {file.size} bytes")
        digest.update(piece)
        out.write(piece)
        show(done)
    if done < file.size:
        raise _Failed(f"{done} bytes instead of {file.size}")
    if digest.hexdigest() != file.sha256:
        raise _Failed(f"SHA-256 {digest.hexdigest()} instead of {file.sha256}")


@contextmanager
def _failures_of_network() -> Iterator[None]:
    from http.client import HTTPException
    from urllib.error import HTTPError

    try:
        yield
    except HTTPError as error:
        error.close()  # it holds the connection
        raise _Failed(str(error)) from error
    except (OSError, HTTPException) as error:
        raise _Failed(str(error) or type(error).__name__) from error
