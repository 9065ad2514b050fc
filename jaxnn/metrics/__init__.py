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

Examples of weight 0 are ignored, and may hold anything, NaN included. Outputs that are not finite
are counted wrong, or make the result NaN; what was not measured is NaN, and not 0.

A metric says whether its highest or its lowest value is the best, which `direction` tells. Of a
metric of your own, `higher_is_better` and `lower_is_better` say it.
"""

from jaxnn.metrics.binary import binary_accuracy, binary_f1, binary_precision, binary_recall
from jaxnn.metrics.classification import (
    ConfusionMatrix,
    accuracy,
    confusion_matrix,
    top_k_accuracy,
)
from jaxnn.metrics.direction import Direction, direction, higher_is_better, lower_is_better
from jaxnn.metrics.names import by_class
from jaxnn.metrics.probability import (
    Calibration,
    Perplexity,
    calibration_error,
    negative_log_likelihood,
    perplexity,
)
from jaxnn.metrics.ranking import Ranking, average_precision, roc_auc
from jaxnn.metrics.regression import R2, mean_absolute_error, mean_squared_error, r2
from jaxnn.metrics.retrieval import Retrieval, f1, precision, recall
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
    "Direction",
    "Metric",
    "Pair",
    "Perplexity",
    "Ranking",
    "Retrieval",
    "Sums",
    "accuracy",
    "add",
    "average_precision",
    "binary_accuracy",
    "binary_f1",
    "binary_precision",
    "binary_recall",
    "by_class",
    "calibration_error",
    "confusion_matrix",
    "direction",
    "f1",
    "higher_is_better",
    "lower_is_better",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
    "perplexity",
    "precision",
    "r2",
    "ratio",
    "recall",
    "result",
    "roc_auc",
    "top_k_accuracy",
    "total",
    "weighted",
]
