"""Which devices a run has, and which it should have had."""

from __future__ import annotations

from pathlib import Path

import jax

__all__ = ["device_names", "unused_accelerator"]


def device_names() -> list[str]:
    """The devices that JAX sees, a line each, such as "cpu:0 (cpu)"."""
    return [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices()]


def unused_accelerator(dev: Path = Path("/dev")) -> str | None:
    """What to do about an accelerator that is attached while JAX runs on the CPU.

    Args:
      dev: where device files are looked for.

    Returns:
      A line that names the device and the command that mends it; None where JAX uses an
      accelerator, none is attached, or the user has chosen the CPU (`JAX_PLATFORMS=cpu`).
    """
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
