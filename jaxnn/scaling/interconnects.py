"""Interconnects between devices: bandwidths, latencies, topology, and the time of an all-reduce."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxnn.arguments import check_knob, check_positive_int, check_text

__all__ = ["H100_CLUSTER", "TPU_V5E_PODS", "TPU_V6E_PODS", "Interconnect", "sent_in_all_reduce"]


@dataclass(frozen=True)
class Interconnect:
    """Describe groups of devices on fast links, joined by a network that all devices share.

    Attributes:
      name: shown to the user.
      group: devices that the fast links join, such as a host of GPUs or a TPU pod.
      link_bandwidth: bytes per second that a device sends inside its group, over all of its
        links, while it receives as many.
      link_latency: seconds per hop inside a group.
      network_bandwidth: as `link_bandwidth`, but one device's share of the network between
        groups.
      network_latency: seconds per hop between groups.
      torus: dimensions of the torus that the links of a group form; 1 for a ring or a switch.

    Raises:
      TypeError: a name that is no text, or a rate that is no number.
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
    torus: int = 1

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_positive_int("group", self.group)
        check_knob("link_bandwidth", self.link_bandwidth, 0, low_open=True)
        check_knob("link_latency", self.link_latency, 0)
        check_knob("network_bandwidth", self.network_bandwidth, 0, low_open=True)
        check_knob("network_latency", self.network_latency, 0)
        check_positive_int("torus", self.torus)

    def all_reduce_seconds(self, size: float, devices: int) -> float:
        r"""Estimate the time of an all-reduce of `size` bytes over a number of devices.

        Inside a group of $g$ devices it is a reduce-scatter and an all-gather along rings, one
        axis of the torus after the other, with sides $a_i$ whose product is $g$. Between $h$
        groups it is recursive halving and doubling, in which each device carries the share of
        the sum that its group left to it.

        $$t = 2\,\frac{g - 1}{g}\,\frac{S}{B_l} + 2 \sum_i (a_i - 1)\, \lambda_l
        + 2\,\frac{h - 1}{h}\,\frac{S / g}{B_n} + 2 \lceil \log_2 h \rceil\, \lambda_n$$

        All links of a device are taken to be busy at once. The sides are as even as the divisors
        of $g$ allow. A slice of a TPU pod that is shorter than 16 along an axis has no link
        around that axis, and takes up to twice the first term.

        Args:
          size: S, in bytes.
          devices: g · h: at most `group`, or a multiple of it.

        Returns:
          Seconds.

        Raises:
          TypeError: a size that is no number.
          ValueError: a size below 0, or a number of devices that leaves a group incomplete.

        Source: R. Thakur, R. Rabenseifner, W. Gropp, Optimization of collective communication
        operations in MPICH, 2005.
        """
        check_knob("size", size, 0)
        devices = check_positive_int("devices", devices)
        if devices > self.group and devices % self.group:
            raise ValueError(
                f"devices must be at most a group of {self.group}, or a multiple of it, "
                f"got {devices}"
            )
        inside = min(devices, self.group)
        groups = devices // inside
        hops = sum(side - 1 for side in _sides(inside, self.torus))
        return (
            sent_in_all_reduce(size, inside) / self.link_bandwidth
            + 2 * hops * self.link_latency
            + sent_in_all_reduce(size / inside, groups) / self.network_bandwidth
            + 2 * math.ceil(math.log2(groups)) * self.network_latency
        )


def _sides(devices: int, dimensions: int) -> list[int]:
    """Factor a number of devices into as many sides, as even as its divisors allow."""
    sides = []
    for left in range(dimensions, 0, -1):
        largest = round(devices ** (1 / left))
        side = devices if left == 1 else max(d for d in range(1, largest + 1) if not devices % d)
        sides.append(side)
        devices //= side
    return sides


def sent_in_all_reduce(size: float, parties: int) -> float:
    """Count the bytes that each party sends in a reduce-scatter and the all-gather after it."""
    return 2 * (parties - 1) / parties * size


H100_CLUSTER = Interconnect("NVLink, InfiniBand", 8, 450e9, 2e-6, 50e9, 5e-6)
"""Hosts of eight H100s (DGX H100) on InfiniBand.

NVLink gives each device 900 GB/s, half of it in each direction; one adapter of 400 Gb/s serves
each device. The latencies are assumed.

Source: NVIDIA DGX H100 data sheet, for the bandwidths.
"""

TPU_V5E_PODS = Interconnect("ICI 16×16, data center", 256, 200e9, 1e-6, 3.125e9, 10e-6, torus=2)
"""Pods of 256 TPU v5e.

The inter-chip interconnect (ICI) is a 16×16 torus; its four ports give each chip 400 GB/s, half
of it in each direction. The data-center network gives a pod 6.4 Tb/s, 3.125 GB/s per chip. The
latencies are assumed.

Source: Google Cloud TPU documentation, page "TPU v5e", for the bandwidths and the topology,
https://cloud.google.com/tpu/docs/v5e.
"""

TPU_V6E_PODS = Interconnect("ICI 16×16, data center", 256, 400e9, 1e-6, 12.5e9, 10e-6, torus=2)
"""Pods of 256 TPU v6e.

The inter-chip interconnect (ICI) is a 16×16 torus; its four ports give each chip 800 GB/s, half
of it in each direction. The data-center network gives a pod 25.6 Tb/s, 12.5 GB/s per chip. The
latencies are assumed.

Source: Google Cloud TPU documentation, page "TPU v6e", for the bandwidths and the topology,
https://cloud.google.com/tpu/docs/v6e. (An edition of the page has 896 GB/s.)
"""
