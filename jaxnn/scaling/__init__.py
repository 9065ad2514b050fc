"""Estimate how training would scale to more devices than there are."""

from jaxnn.scaling.chips import H100, TPU_V5E, TPU_V6E, Chip
from jaxnn.scaling.cost import StepCost, step_cost
from jaxnn.scaling.estimate import ScalingRow, estimate_scaling
from jaxnn.scaling.interconnects import H100_CLUSTER, TPU_V5E_PODS, TPU_V6E_PODS, Interconnect

__all__ = [
    "H100",
    "H100_CLUSTER",
    "TPU_V5E",
    "TPU_V5E_PODS",
    "TPU_V6E",
    "TPU_V6E_PODS",
    "Chip",
    "Interconnect",
    "ScalingRow",
    "StepCost",
    "estimate_scaling",
    "step_cost",
]
