"""Losses: pure functions of outputs and targets that return one number per example.

The training step weights the losses of the examples (or tokens) and divides once. The settings
of a loss are keyword arguments, which `functools.partial` binds:

>>> from functools import partial
>>> import jaxnn
>>> def make_recipe(knobs):
...     loss = partial(
...         jaxnn.losses.softmax_cross_entropy, label_smoothing=knobs["label_smoothing"]
...     )
...     return jaxnn.Recipe(jaxnn.nn.MLP((100, 10)), loss, jaxnn.optim.adam(1e-3))

A loss refuses shapes that do not fit when it is traced. It also carries a `check` of its targets'
values and of its settings, which `jaxnn.fit` runs on the data before anything is compiled. A loss
of your own is any function `(outputs, targets) -> losses`. Complex numbers are refused: use
`jnp.abs` of them, or their real and imaginary parts as two outputs.

Connectionist temporal classification is left to Optax, whose `optax.ctc_loss` also takes the
padding of inputs and labels. An objective brings them from the batch to the loss:

>>> import optax
>>> def ctc(apply, params, model_state, batch, keys):
...     logits, model_state = apply(params, model_state, batch["x"], keys)  # (n, time, classes)
...     losses = optax.ctc_loss(
...         logits, batch["x_paddings"], batch["labels"], batch["label_paddings"]
...     )
...     return jaxnn.metrics.weighted(losses, batch.get("weight")), model_state, {}
>>> recipe = jaxnn.Recipe(jaxnn.nn.MLP((100, 29)), objective=ctc, optimizer=jaxnn.optim.adam(1e-3))
"""

from jaxnn.losses.binary import hinge, sigmoid_cross_entropy, sigmoid_focal
from jaxnn.losses.checks import Loss, check_targets
from jaxnn.losses.classification import negative_log_likelihood, softmax_cross_entropy
from jaxnn.losses.divergence import cosine_distance, kl_divergence
from jaxnn.losses.regression import absolute_error, huber, squared_error

__all__ = [
    "Loss",
    "absolute_error",
    "check_targets",
    "cosine_distance",
    "hinge",
    "huber",
    "kl_divergence",
    "negative_log_likelihood",
    "sigmoid_cross_entropy",
    "sigmoid_focal",
    "softmax_cross_entropy",
    "squared_error",
]
