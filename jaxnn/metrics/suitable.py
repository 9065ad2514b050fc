"""The metrics by which a loss is judged where the recipe does not name any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxnn.losses.binary import hinge, sigmoid_cross_entropy, sigmoid_focal
from jaxnn.losses.checks import unwrap
from jaxnn.losses.classification import negative_log_likelihood, softmax_cross_entropy
from jaxnn.metrics.binary import binary_accuracy
from jaxnn.metrics.classification import accuracy
from jaxnn.metrics.sums import Metric

__all__ = ["suitable_metrics"]

_SUITABLE: Mapping[Callable[..., Any], Mapping[str, Metric]] = {
    softmax_cross_entropy: {"accuracy": accuracy},
    negative_log_likelihood: {"accuracy": accuracy},
    sigmoid_cross_entropy: {"accuracy": binary_accuracy},
    sigmoid_focal: {"accuracy": binary_accuracy},
    hinge: {"accuracy": binary_accuracy},
}


def suitable_metrics(loss: Any) -> Mapping[str, Metric]:
    """Return the metrics that suit a loss by name: accuracy for a classifier, else none.

    They leave out the labels that the loss leaves out, and have its axis of classes.

    >>> from jaxnn.losses import squared_error
    >>> sorted(suitable_metrics(softmax_cross_entropy)), sorted(suitable_metrics(squared_error))
    (['accuracy'], [])
    """
    base = unwrap(loss)  # compared by identity, since a callable need not be hashable
    metrics = next((metrics for known, metrics in _SUITABLE.items() if known is base), {})
    keywords = loss.keywords if isinstance(loss, partial) else {}
    shared = {name: keywords[name] for name in ("axis", "ignore_index") if name in keywords}
    if not shared:
        return metrics
    return {name: partial(metric, **shared) for name, metric in metrics.items()}
