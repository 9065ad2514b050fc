"""Losses: pure functions of outputs and targets, one number per example.

A loss returns the loss of every example (or token), so that the step can weight them and
divide once. Its settings are keyword arguments, and `functools.partial` binds them:

>>> from functools import partial
>>> import jaxnn
>>> def make_recipe(knobs):
...     loss = partial(
...         jaxnn.losses.softmax_cross_entropy, label_smoothing=knobs["label_smoothing"]
...     )
...     return jaxnn.Recipe(jaxnn.nn.MLP((100, 10)), loss, jaxnn.optim.adam(1e-3))

It refuses shapes that do not fit, which are known when it is traced, and carries a `check` of
what only values can show, which `jaxnn.fit` runs on the data, and on the settings, before
anything is compiled. An own loss is any function `(outputs, targets) -> losses`.
"""

from jaxnn.losses.checks import Loss, check_targets, unwrap
from jaxnn.losses.classification import (
    negative_log_likelihood,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from jaxnn.losses.regression import absolute_error, huber, squared_error

__all__ = [
    "Loss",
    "absolute_error",
    "check_targets",
    "huber",
    "negative_log_likelihood",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
    "unwrap",
]
