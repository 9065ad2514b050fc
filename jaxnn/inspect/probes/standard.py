"""The probes that a run is watched with where nothing else is asked for."""

from __future__ import annotations

from typing import Any

from jaxnn.arguments import check_positive_int
from jaxnn.inspect.probes.activations import Activations
from jaxnn.inspect.probes.curvature import CurvatureTrace, LargestCurvature
from jaxnn.inspect.probes.histograms import Histograms
from jaxnn.inspect.probes.noise import GradientNoise
from jaxnn.inspect.probes.norms import Norms
from jaxnn.inspect.probes.step_tests import Alpha, LossDecrease

__all__ = ["standard_probes"]


def standard_probes(every: int = 10, *, costly_every: int | None = None) -> tuple[Any, ...]:
    """Make the standard set of probes: norms, update ratios, activations, gradients, histograms.

    Args:
      every: steps from one that is measured to the next, for `Norms`, `Activations` and
        `Histograms`.
      costly_every: the same for the probes that evaluate the model once more: `GradientNoise`,
        `LossDecrease`, `Alpha`, `LargestCurvature`, `CurvatureTrace`; 50 and more keep them
        cheap. None leaves them out.

    Returns:
      The probes, for `jaxnn.fit(probes=…)`.

    Raises:
      ValueError: an argument that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((20, 10)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probes = standard_probes(every=5)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=probes)
    >>> run.history.epochs[-1].values["update/Dense_0/kernel/ratio"] < 0.1
    True
    """
    check_positive_int("every", every)
    probes = (Norms(every=every), Activations(every=every), Histograms(every=every))
    if costly_every is None:
        return probes
    check_positive_int("costly_every", costly_every)
    costly = (GradientNoise, LossDecrease, Alpha, LargestCurvature, CurvatureTrace)
    return (*probes, *(kind(every=costly_every) for kind in costly))
