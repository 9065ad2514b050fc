"""Compiled programs that outlive the process."""

from __future__ import annotations

import os
from pathlib import Path

import jax

__all__ = ["use_compilation_cache"]


def use_compilation_cache(folder: str | os.PathLike[str]) -> None:
    """Keep compiled programs in a folder, from which later processes take them.

    This changes settings of JAX for the whole process, and JAX looks at them when it compiles
    for the first time: call it before anything is computed. What differs in code, shapes,
    versions, flags or kind of device is another program. Many processes may share a folder;
    nothing in it is ever removed.

    Args:
      folder: made where it does not exist.

    Raises:
      NotADirectoryError: `folder` is a file.

    Example: `jaxnn.train.use_compilation_cache("~/.cache/jaxnn")`
    """
    path = Path(folder).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"compilation cache must be a folder, got the file {path}")
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    # Small programs too: a run compiles a few dozen of them, which takes seconds in all.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
