"""Chips by their data sheets: peak arithmetic, memory bandwidth and memory size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxnn.arguments import check_knob, check_text

__all__ = ["H100", "TPU_V5E", "TPU_V6E", "Chip"]


@dataclass(frozen=True)
class Chip:
    """Describe one device by its peak rates.

    Attributes:
      name: shown to the user.
      flops: peak floating-point operations per second, in the precision that the step's matrix
        products run in.
      memory_bandwidth: of its main memory, in bytes per second.
      memory: size of its main memory in bytes; infinity where nobody checks it.
      achieved: share of both peak rates that a step reaches, in (0, 1]; 1 gives the least
        possible time.

    Raises:
      TypeError: a name that is no text, or a rate that is no number.
      ValueError: a number outside its range.

    >>> Chip("mine", flops=1e12, memory_bandwidth=1e11).achieved
    1.0
    """

    name: str
    flops: float
    memory_bandwidth: float
    memory: float = math.inf
    achieved: float = 1.0

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_knob("flops", self.flops, 0, low_open=True)
        check_knob("memory_bandwidth", self.memory_bandwidth, 0, low_open=True)
        if not (isinstance(self.memory, float) and self.memory == math.inf):
            check_knob("memory", self.memory, 0, low_open=True)
        check_knob("achieved", self.achieved, 0, 1, low_open=True)


H100 = Chip("H100 SXM (TF32)", flops=494.7e12, memory_bandwidth=3.35e12, memory=80e9)
"""NVIDIA H100 SXM.

JAX runs float32 products in TF32 there by default, 494.7 TFLOP/s; for bfloat16 use
`dataclasses.replace(H100, flops=989.4e12)`. Memory: 80 GB of HBM3 at 3.35 TB/s.

Source: NVIDIA H100 Tensor Core GPU data sheet, column SXM, rates without sparsity.
"""

TPU_V5E = Chip("TPU v5e (bf16)", flops=197e12, memory_bandwidth=819e9, memory=16e9)
"""Google TPU v5e.

197 TFLOP/s in bfloat16, in which JAX runs float32 products there by default; a product at
`jax.default_matmul_precision("highest")` takes several such passes. Memory: 16 GB of HBM2 at
819 GB/s.

Source: Google Cloud TPU documentation, page "TPU v5e", key chip specifications,
https://cloud.google.com/tpu/docs/v5e. (Some editions of the page round the bandwidth to 800.)
"""

TPU_V6E = Chip("TPU v6e (bf16)", flops=918e12, memory_bandwidth=1640e9, memory=32e9)
"""Google TPU v6e, called Trillium.

918 TFLOP/s in bfloat16; see `TPU_V5E` for other precisions. Memory: 32 GB of HBM at 1,640 GB/s.

Source: Google Cloud TPU documentation, page "TPU v6e", https://cloud.google.com/tpu/docs/v6e.
(Some editions of the page round the bandwidth to 1,600.)
"""
