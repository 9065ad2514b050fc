"""Diagnostics that look into a run."""

from jaxnn.inspect.checks.run import check
from jaxnn.inspect.probes.activations import Activations
from jaxnn.inspect.probes.cosine import UpdateCosine
from jaxnn.inspect.probes.curvature import CurvatureTrace, LargestCurvature
from jaxnn.inspect.probes.gradient_norm import GradientNorm
from jaxnn.inspect.probes.histograms import Histograms
from jaxnn.inspect.probes.noise import GradientNoise
from jaxnn.inspect.probes.norms import Norms
from jaxnn.inspect.probes.standard import standard_probes
from jaxnn.inspect.probes.step_tests import Alpha, LossDecrease
from jaxnn.train.step.static_probe import Average

__all__ = [
    "Activations",
    "Alpha",
    "Average",
    "CurvatureTrace",
    "GradientNoise",
    "GradientNorm",
    "Histograms",
    "LargestCurvature",
    "LossDecrease",
    "Norms",
    "UpdateCosine",
    "check",
    "standard_probes",
]
