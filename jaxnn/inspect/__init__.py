"""Diagnostics that look into a run."""

from jaxnn.inspect.probes.activations import Activations
from jaxnn.inspect.probes.gradient_norm import GradientNorm

__all__ = ["Activations", "GradientNorm"]
