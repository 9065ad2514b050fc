"""The device axis of a per-device program, known to all code that is traced within it.

A step under `pmap` sees one device's share of the batch. Some values must be those of the whole
batch, such as the statistics of batch normalization. The code that computes them asks this module
for the name of the axis to sum over, so no layer has to be told. Draws ask it for the device index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import jax

__all__ = ["axis_name", "device_axis", "device_index"]


class _Axis(NamedTuple):
    name: str
    fold: bool


_CURRENT: ContextVar[_Axis | None] = ContextVar("jaxnn_device_axis", default=None)


@contextmanager
def device_axis(name: str, *, fold_device_index: bool = True) -> Iterator[None]:
    """Declare that the code traced within belongs to a per-device program.

    Args:
      name: the axis name given to `pmap` or `shard_map`.
      fold_device_index: whether the device index is part of the address of draws.

    >>> with device_axis("data"):
    ...     axis_name()
    'data'
    """
    token = _CURRENT.set(_Axis(name, fold_device_index))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def axis_name() -> str | None:
    """Return the name of the device axis, or None where the program sees the whole batch."""
    axis = _CURRENT.get()
    return None if axis is None else axis.name


def device_index() -> jax.Array | None:
    """Return the device index for the address of a draw, or None where it is not part of it."""
    axis = _CURRENT.get()
    return jax.lax.axis_index(axis.name) if axis is not None and axis.fold else None
