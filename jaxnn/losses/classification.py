"""Losses of classes: cross-entropies from logits or log-probabilities."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.losses.checks import checked_by
from jaxnn.losses.inputs import (
    Classes,
    classes_last,
    kept,
    refuse_empty,
)
from jaxnn.losses.parts import times, wide
from jaxnn.losses.targets import (
    check_class_weights,
    check_labels,
    check_smoothing,
)

__all__ = [
    "cross_entropy",
    "negative_log_likelihood",
    "softmax_cross_entropy",
]

Number = float | jax.Array


@checked_by(check_labels)
def softmax_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: Number | None = None,
    class_weights: jax.Array | None = None,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> jax.Array:
    r"""Compute the cross-entropy of softmax probabilities with integer, one-hot or soft labels.

    It is $-\sum_c p_c \log \mathrm{softmax}(z)_c$ for labels p and logits z. Minimizing it is
    maximum likelihood for a categorical variable. With label smoothing $a$ and class weights
    $w$, an example of label $y$ among $K$ classes has the loss

    $$\ell = w_y \Big[ -(1 - a) \log \mathrm{softmax}(z)_y
    - \frac{a}{K} \sum_c \log \mathrm{softmax}(z)_c \Big]$$

    The smoothed target is thus $(1-a)\,p + a/K$. Soft labels give the mean of this loss over
    $y \sim p$.

    A class whose logit is −∞ contributes 0 if its probability in the labels is 0 and there is no
    smoothing. An integer label outside [0, classes), which `fit` refuses, has the loss NaN.

    Args:
      logits: (…, classes), before the softmax.
      labels: integer classes of shape (…), or probabilities of shape (…, classes)
        (one-hot or soft).
      label_smoothing: a, in [0, 1]; a float or a traced scalar. None: no smoothing.
      class_weights: (classes,), each at least 0; may be traced. As in Keras, the mean is
        still over examples: $\sum_i w_{y_i} \ell_i / n$. For PyTorch's mean, which divides by
        $\sum_i w_{y_i}$, leave this out and put `w[y]` into the batch's "weight".
      axis: of the classes in logits and probabilities, such as 1 for images of classes
        (n, classes, height, width); static.
      where: bool, (…), or of its leading axes: which losses count. The others are 0, with a
        gradient of 0, and their logits and labels may hold anything. None: all count.
      ignore_index: an integer label whose losses are 0 as well; static. In `fit` what has this
        label counts in no mean, as in PyTorch. None: every label is a class.

    Returns:
      Losses of shape (…), in nats, at least 0; in float32 if the logits are narrower.

    Raises:
      TypeError: labels of shape (…) are not integers.
      ValueError: the labels have any other shape, there are no examples, integers are wider
        than JAX keeps, or a concrete setting is outside its range. `check_targets` also refuses
        integers outside [0, classes) and rows that are not distributions.

    >>> softmax_cross_entropy(jnp.array([[0.0, 0.0], [9.0, 0.0]]), jnp.array([0, 0]))
    Array([6.931472e-01, 1.2337e-04], dtype=float32)
    >>> softmax_cross_entropy(jnp.zeros((2, 3, 4)), jnp.zeros((2, 4), int), axis=1).shape
    (2, 4)

    Source: lectures C and L; smoothing: Szegedy et al. 2016. (Optax's `where` masks classes; for
    that set their logits to −∞.)
    """
    data = classes_last("logits", logits, labels, axis)
    refuse_empty("logits", data.outputs)
    return cross_entropy(data, label_smoothing, class_weights, where, ignore_index, logits=True)


@checked_by(check_labels)
def negative_log_likelihood(
    log_probabilities: jax.Array,
    labels: jax.Array,
    *,
    class_weights: jax.Array | None = None,
    axis: int = -1,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
) -> jax.Array:
    r"""Compute the cross-entropy of log-probabilities, $-\sum_c p_c \log q_c$.

    Minimizing it is maximum likelihood for a categorical variable. It is for models that end
    in a log-softmax and for averages of probabilities; `softmax_cross_entropy` takes logits.
    (`jaxnn.metrics.negative_log_likelihood` is the metric, which takes logits.)

    Args:
      log_probabilities: (…, classes), log q.
      labels: integer classes of shape (…), or probabilities p of shape (…, classes).
      class_weights: as in `softmax_cross_entropy`.
      axis: as in `softmax_cross_entropy`.
      where: as in `softmax_cross_entropy`.
      ignore_index: as in `softmax_cross_entropy`.

    Returns:
      Losses of shape (…), in nats; in float32 if the input is narrower. NaN for an integer label
      outside [0, classes).

    Raises:
      TypeError, ValueError: as in `softmax_cross_entropy`.

    >>> negative_log_likelihood(jnp.log(jnp.array([[0.5, 0.5]])), jnp.array([1]))
    Array([0.6931472], dtype=float32)

    Source: lecture C.
    """
    data = classes_last("log_probabilities", log_probabilities, labels, axis)
    refuse_empty("log_probabilities", data.outputs)
    return cross_entropy(data, None, class_weights, where, ignore_index, logits=False)


def cross_entropy(
    data: Classes,
    label_smoothing: Any,
    class_weights: Any,
    where: Any,
    ignore_index: Any,
    *,
    logits: bool,
) -> jax.Array:
    """Compute the cross-entropy of logits or log-probabilities, of none if there are none."""
    check_smoothing(label_smoothing)
    outputs, labels, soft = data
    check_class_weights(class_weights, outputs.shape[-1], outputs)
    mask = kept(labels, outputs.shape[:-1], where, ignore_index, soft=soft)
    if mask is not None:
        # What is left out may hold NaN, and no class.
        outputs = jnp.where(mask[..., None], outputs, 0)
        labels = jnp.where(mask[..., None] if soft else mask, labels, 0)
    outputs = wide(outputs)
    log_p = jax.nn.log_softmax(outputs) if logits else outputs
    losses = _of_labels(log_p, labels, soft, class_weights)
    if label_smoothing is not None:
        a = jnp.asarray(label_smoothing, log_p.dtype)
        uniform = -log_p.mean(-1)
        if class_weights is not None:
            uniform = uniform * _label_weights(labels, log_p, soft, class_weights)
        losses = (1 - a) * losses + times(a, uniform)
    return losses if mask is None else jnp.where(mask, losses, 0)


def _of_labels(log_p: jax.Array, labels: jax.Array, soft: bool, class_weights: Any) -> jax.Array:
    """The cross-entropy of log-probabilities, unsmoothed."""
    if soft:
        labels = labels.astype(log_p.dtype)
        if class_weights is not None:
            labels = labels * jnp.broadcast_to(jnp.asarray(class_weights, log_p.dtype), log_p.shape)
        return -jnp.sum(times(labels, log_p), axis=-1)
    # Not a gather: its gradient is a scatter, for which devices that hold unequal shares of a
    # batch must exchange the labels, and which makes XLA of jax 0.7 abort in 64 bits.
    classes = jax.lax.broadcasted_iota(jnp.int32, log_p.shape, log_p.ndim - 1)
    is_label = classes == _index(labels, log_p)[..., None]
    losses = -jnp.sum(jnp.where(is_label, log_p, 0), axis=-1)
    if class_weights is not None:
        losses = times(_label_weights(labels, log_p, soft, class_weights), losses)
    # `_index` clips labels to the classes, so a label that is none has to be marked here.
    return jnp.where((labels >= 0) & (labels < log_p.shape[-1]), losses, jnp.nan)


def _index(labels: jax.Array, log_p: jax.Array) -> jax.Array:
    """Clip labels to the classes."""
    return jnp.clip(labels, 0, log_p.shape[-1] - 1)


def _label_weights(
    labels: jax.Array, log_p: jax.Array, soft: bool, class_weights: Any
) -> jax.Array:
    """Return the weight of each example's class, or its mean over soft labels."""
    weights = jnp.asarray(class_weights, log_p.dtype)
    if not soft:
        return weights[_index(labels, log_p)]
    return jnp.sum(labels.astype(log_p.dtype) * jnp.broadcast_to(weights, log_p.shape), axis=-1)
