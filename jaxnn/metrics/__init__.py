"""Metrics: sums that are added over batches and divided once at the end.

A metric is a pure function `(outputs, targets, weight) -> (sum, count)`. One that is not a ratio
of two sums returns an accumulator instead. The settings of a metric are keyword arguments, which
`functools.partial` binds:

>>> from functools import partial
>>> import jaxnn
>>> recipe = jaxnn.Recipe(
...     model=jaxnn.nn.MLP((100, 10)),
...     loss=partial(jaxnn.losses.softmax_cross_entropy, label_smoothing=0.1),
...     optimizer=jaxnn.optim.adam(1e-3),
...     metrics={
...         "accuracy": jaxnn.metrics.accuracy,
...         "top_3": partial(jaxnn.metrics.top_k_accuracy, k=3),
...         "confusion": jaxnn.metrics.confusion_matrix,
...     },
... )

Examples of weight 0 are ignored, and may hold anything, NaN included.
"""

from jaxnn.metrics.classification import (
    ConfusionMatrix,
    accuracy,
    binary_accuracy,
    confusion_matrix,
    top_k_accuracy,
)
from jaxnn.metrics.probability import Calibration, calibration_error, negative_log_likelihood
from jaxnn.metrics.regression import R2, mean_absolute_error, mean_squared_error, r2
from jaxnn.metrics.sums import (
    Accumulator,
    Metric,
    Pair,
    Sums,
    add,
    ratio,
    result,
    total,
    weighted,
)

__all__ = [
    "R2",
    "Accumulator",
    "Calibration",
    "ConfusionMatrix",
    "Metric",
    "Pair",
    "Sums",
    "accuracy",
    "add",
    "binary_accuracy",
    "calibration_error",
    "confusion_matrix",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
    "r2",
    "ratio",
    "result",
    "top_k_accuracy",
    "total",
    "weighted",
]
