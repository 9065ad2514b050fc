"""Estimates for more devices than there are."""

from jaxnn.scaling.hardware import H100, H100_CLUSTER, Chip, Interconnect
from jaxnn.scaling.scaling import ScalingRow, StepCost, estimate_scaling, step_cost

__all__ = [
    "H100",
    "H100_CLUSTER",
    "Chip",
    "Interconnect",
    "ScalingRow",
    "StepCost",
    "estimate_scaling",
    "step_cost",
]
