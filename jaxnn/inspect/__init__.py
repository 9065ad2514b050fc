"""Diagnostics that look into a run."""

from jaxnn.inspect.probes import GradientNorm

__all__ = ["GradientNorm"]
