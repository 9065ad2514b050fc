"""Devices and what joins them, by their data sheets: rates, bandwidths and latencies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxnn.arguments import check_knob, check_positive_int

__all__ = ["H100", "H100_CLUSTER", "Chip", "Interconnect", "sent_in_all_reduce"]


@dataclass(frozen=True)
class Chip:
    """One device.

    Attributes:
      name: for the table.
      flops: floating-point operations per second at its peak, in the precision that the
        step's matrix products run in.
      memory_bandwidth: of its main memory, bytes per second.
      achieved: share of both that a step reaches, in (0, 1]; 1 gives the least time possible.

    Raises:
      ValueError: a number outside its range.
    """

    name: str
    flops: float
    memory_bandwidth: float
    achieved: float = 1.0

    def __post_init__(self) -> None:
        check_knob("flops", self.flops, 0, low_open=True)
        check_knob("memory_bandwidth", self.memory_bandwidth, 0, low_open=True)
        check_knob("achieved", self.achieved, 0, 1, low_open=True)


@dataclass(frozen=True)
class Interconnect:
    """Groups of devices on fast links, joined by a network on which each device has its share.

    Attributes:
      name: for the table.
      group: devices that the fast links join: a host of GPUs, a TPU pod.
      link_bandwidth: bytes per second that a device sends inside its group while it receives
        as many.
      link_latency: seconds a hop inside a group.
      network_bandwidth: the same as `link_bandwidth`, a device's share between groups.
      network_latency: seconds a hop between groups.

    Raises:
      ValueError: a number outside its range.

    >>> host = Interconnect("host", 8, 100e9, 1e-6, network_bandwidth=10e9, network_latency=5e-6)
    >>> f"{host.all_reduce_seconds(1e9, 8):.4f} {host.all_reduce_seconds(1e9, 64):.4f}"
    '0.0175 0.0394'
    """

    name: str
    group: int
    link_bandwidth: float
    link_latency: float
    network_bandwidth: float
    network_latency: float

    def __post_init__(self) -> None:
        check_positive_int("group", self.group)
        check_knob("link_bandwidth", self.link_bandwidth, 0, low_open=True)
        check_knob("link_latency", self.link_latency, 0)
        check_knob("network_bandwidth", self.network_bandwidth, 0, low_open=True)
        check_knob("network_latency", self.network_latency, 0)

    def all_reduce_seconds(self, size: float, devices: int) -> float:
        r"""Time to sum `size` bytes over devices, each of which gets the sum.

        Inside a group of $g$ a ring; between $h$ groups recursive halving and doubling, which
        sends as little in fewer hops. Each device carries there what its group gave to it.

        $$t = 2\,\frac{g - 1}{g}\,\frac{S}{B_l} + 2 (g - 1)\, \lambda_l
        + 2\,\frac{h - 1}{h}\,\frac{S / g}{B_n} + 2 \lceil \log_2 h \rceil\, \lambda_n$$

        Args:
          size: S, in bytes.
          devices: g · h: at most `group`, or a multiple of it.

        Raises:
          ValueError: devices that leave a group incomplete.

        Source: R. Thakur, R. Rabenseifner, W. Gropp, Optimization of collective communication
        operations in MPICH, 2005.
        """
        devices = check_positive_int("devices", devices)
        if devices > self.group and devices % self.group:
            raise ValueError(
                f"devices must be at most a group of {self.group}, or a multiple of it, "
                f"got {devices}"
            )
        inside = min(devices, self.group)
        groups = devices // inside
        return (
            sent_in_all_reduce(size, inside) / self.link_bandwidth
            + 2 * (inside - 1) * self.link_latency
            + sent_in_all_reduce(size / inside, groups) / self.network_bandwidth
            + 2 * math.ceil(math.log2(groups)) * self.network_latency
        )


def sent_in_all_reduce(size: float, parties: int) -> float:
    """Bytes that each party sends in a reduce-scatter and the all-gather after it."""
    return 2 * (parties - 1) / parties * size


H100 = Chip("H100 SXM (TF32)", flops=494.7e12, memory_bandwidth=3.35e12)
"""NVIDIA's data sheet, without sparsity. TF32 is what JAX runs float32 products in there by
default; for bfloat16 `dataclasses.replace(H100, flops=989.4e12)`."""

H100_CLUSTER = Interconnect("NVLink, InfiniBand", 8, 450e9, 2e-6, 50e9, 5e-6)
"""A DGX H100: 900 GB/s of NVLink a device, half in each direction, and a 400 Gb/s adapter each.
The bandwidths are NVIDIA's, the latencies assumed."""
