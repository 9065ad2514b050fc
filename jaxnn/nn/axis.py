"""The axis of devices that a step is traced for, known to all within it.

A step under `pmap` sees one device's share of the batch. What must be that of the whole batch,
such as the statistics of batch normalization, asks here for the name of the axis to sum over,
so that no layer has to be told; and a draw asks for the index of its device.
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
    """What is traced within belongs to a per-device program.

    Args:
      name: of the axis, as `pmap` or `shard_map` has it.
      fold_device_index: whether draws have the index of the device in their address.

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
    """The axis of devices; None where the program sees the whole batch."""
    axis = _CURRENT.get()
    return None if axis is None else axis.name


def device_index() -> jax.Array | None:
    """The device's index for the address of a draw; None where it is no part of it."""
    axis = _CURRENT.get()
    return jax.lax.axis_index(axis.name) if axis is not None and axis.fold else None
