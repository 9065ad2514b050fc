"""Choose the devices of a run, and find an accelerator that JAX does not use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
from jax.sharding import AxisType, PartitionSpec

from jaxnn.arguments import check_flag, check_path, check_text
from jaxnn.train.devices.placement import DATA, Placement, axes_of

__all__ = ["Devices", "Rules", "device_names", "place_on", "unused_accelerator"]

Devices = int | Literal["pmap", "sharded"] | Mapping[str, int] | None
"""Which devices a run takes and how it is spread over them; see `jaxnn.fit`."""

Rules = Mapping[str, PartitionSpec]
"""From a regular expression for the paths of parameters to how those parameters are split."""


def place_on(
    devices: Devices = None, rules: Rules | None = None, zero1: bool = False
) -> Placement | None:
    """Make the mesh of a run's devices.

    Args:
      devices: None: all devices, sharded where there are several; but one device where
        `jax_default_device` is set. An int n: the first n devices. "sharded" or "pmap": all
        devices, in that way. A dict: the axes of a mesh with their sizes, such as
        `{"data": 4, "model": 2}`.
      rules: how parameters are split. Each key is a regular expression, searched for in the
        paths of the parameters, such as `{"Dense_0/kernel": PartitionSpec(None, "model")}`.
        Where several match a path, the first one holds.
      zero1: whether optimizer state and averaged parameters are divided over "data".

    Returns:
      The placement; None for one device.

    Raises:
      TypeError: rules that are no dict of PartitionSpecs, or a `zero1` that is not True or False.
      ValueError: a value that is not allowed, more devices than there are, or arguments that
        do not go together.

    >>> place_on(1) is None
    True
    """
    zero1 = check_flag("zero1", zero1)
    _check_rules(rules)
    shape = _shape(devices)
    if shape is None:
        if devices is not None and (rules or zero1):
            raise ValueError(f"rules and zero1 need several devices, got devices={devices!r}")
        return None
    if devices == "pmap" and (rules or zero1):
        raise ValueError(
            "rules and zero1 go with devices='sharded', got 'pmap', where every device holds "
            "all but the batch whole"
        )
    named = {axis for spec in (rules or {}).values() for axis in axes_of(spec)}
    if idle := [axis for axis, n in shape.items() if n > 1 and axis not in named | {DATA}]:
        raise ValueError(
            "devices must have no mesh axis that nothing is split over, since its devices would "
            f"all compute the same: rules split over {sorted(named)}, got {shape} with {idle}"
        )
    mesh = jax.make_mesh(
        tuple(shape.values()),
        tuple(shape),
        devices=jax.devices()[: math.prod(shape.values())],
        axis_types=(AxisType.Auto,) * len(shape),
    )
    return Placement(mesh, tuple((rules or {}).items()), zero1, per_device=devices == "pmap")


def _check_rules(rules: Any) -> None:
    if rules is None:
        return
    if not isinstance(rules, Mapping):
        raise TypeError(
            "rules must be a dict from regular expressions to PartitionSpecs, such as "
            f'{{"Dense_0/kernel": PartitionSpec(None, "model")}}, got {rules!r}'
        )
    for pattern, spec in rules.items():
        if not isinstance(spec, PartitionSpec):
            raise TypeError(f"rules must lead to a PartitionSpec, got {spec!r} for {pattern!r}")
        try:
            re.compile(check_text("rules", pattern))
        except re.error as error:
            raise ValueError(
                f"rules must be regular expressions, got {pattern!r}: {error}"
            ) from error


def _shape(devices: Any) -> dict[str, int] | None:
    """The axes of the mesh with their sizes; None for one device."""
    there, processes = jax.device_count(), jax.process_count()
    if devices is None:
        alone = jax.default_device.value is not None and processes == 1
        return None if alone or there == 1 else {DATA: there}
    if isinstance(devices, str) and devices in ("pmap", "sharded"):
        return {DATA: there}
    if isinstance(devices, Mapping) and DATA in devices:
        shape = dict(devices)
    elif isinstance(devices, int) and not isinstance(devices, bool):
        shape = {DATA: devices}
    else:
        shape = {}
    sizes = list(shape.values())
    if not shape or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes):
        raise ValueError(
            "devices must be None, a number of devices, 'sharded', 'pmap', or a dict of mesh axes "
            f"with {DATA!r} among them, got {devices!r}"
        )
    wanted = math.prod(sizes)
    if wanted > there or (processes > 1 and wanted != there):
        allowed = f"all {there}" if processes > 1 else f"at most {there}, as many as there are"
        raise ValueError(f"devices must be {allowed}, got {devices!r}")
    return None if devices == 1 else shape


def device_names() -> list[str]:
    """Describe each device that JAX sees by one line, such as "cpu:0 (cpu)"."""
    return [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices()]


def unused_accelerator(dev: Path = Path("/dev")) -> str | None:
    """Say what to do about an accelerator that is attached while JAX runs on the CPU.

    Args:
      dev: the folder of device files.

    Returns:
      A line that names the device and the command that mends it; None where JAX uses an
      accelerator, none is attached, or the user has chosen the CPU (`JAX_PLATFORMS=cpu`).

    Raises:
      TypeError: `dev` is no path.
    """
    dev = check_path("dev", dev)
    if jax.default_backend() != "cpu" or getattr(jax.config, "jax_platforms", None):
        return None
    if any(dev.glob("nvidia[0-9]*")):
        return (
            "an NVIDIA GPU is attached, but JAX runs on the CPU: "
            'pip install -U "jax[cuda13]" ("jax[cuda12]" for a driver older than 580), '
            "then restart Python"
        )
    if any(dev.glob("accel[0-9]*")) or any(dev.glob("vfio/[0-9]*")):
        return (
            "a TPU is attached, but JAX runs on the CPU: "
            'pip install -U "jax[tpu]", then restart Python'
        )
    return None
