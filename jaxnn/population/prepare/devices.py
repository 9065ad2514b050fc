"""The devices that a population's cohorts are spread over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import AxisType, Mesh

from jaxnn.arguments import check_positive_int
from jaxnn.train.loop.cohorts import MEMBERS

__all__ = ["cores_as_devices", "members_mesh"]


def members_mesh(devices: Any, members: int) -> Mesh | None:
    """Make the mesh of the devices that share the cohorts; None for one device.

    Args:
      devices: their number, `{"members": number}`, or None: all there are, but one where
        `jax_default_device` is set, and no more than members.
      members: of the population.

    Raises:
      ValueError, TypeError: more devices than there are, or a mesh axis that a population does
        not have.
    """
    there = jax.device_count()
    if devices is None:
        count = 1 if jax.default_device.value is not None else min(there, members)
    else:
        if isinstance(devices, Mapping):
            if set(devices) != {MEMBERS}:
                raise ValueError(
                    f"devices must be a number or {{{MEMBERS!r}: number}} for a population, whose "
                    f"batches are not split, got {dict(devices)}"
                )
            devices = devices[MEMBERS]
        count = check_positive_int("devices", devices)
        if count > there:
            raise ValueError(f"devices must be at most the {there} that there are, got {count}")
    if count == 1:
        return None
    chosen = jax.devices()[:count]
    return jax.make_mesh((count,), (MEMBERS,), devices=chosen, axis_types=(AxisType.Auto,))


def cores_as_devices(count: int | None = None) -> int:
    """Let JAX see each core of the CPU as a device, so that cohorts train on all of them.

    Call it before the first operation of JAX. A single run stays on one device with
    `fit(devices=1)`.

    Args:
      count: the number of devices; None: the cores that this process may use.

    Returns:
      The number of devices.

    Raises:
      ValueError: JAX has begun to work with another number, so that it is too late.

    >>> import jax
    >>> jax.device_count() > 1 and cores_as_devices(jax.device_count()) == jax.device_count()
    True
    """
    wanted = _cores() if count is None else check_positive_int("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError as error:
        if jax.device_count("cpu") != wanted:
            raise ValueError(
                f"count must be {jax.device_count('cpu')}, as JAX works with so many CPU devices "
                f"already, got {wanted}: call cores_as_devices before the first operation of JAX"
            ) from error
    return wanted


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
