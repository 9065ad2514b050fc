"""Losses of classifiers: cross-entropies from logits or log-probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxnn.losses.checks import (
    check_class_weights,
    check_labels,
    check_pos_weight,
    check_probabilities,
    check_smoothing,
    checked_by,
)

__all__ = ["negative_log_likelihood", "sigmoid_cross_entropy", "softmax_cross_entropy"]

Number = float | jax.Array


@checked_by(check_labels)
def softmax_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: Number | None = None,
    class_weights: jax.Array | None = None,
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

    Returns:
      Losses of shape (…), in nats, at least 0; in float32 if the logits are narrower.

    Raises:
      TypeError: labels of shape (…) are not integers.
      ValueError: the labels have any other shape, or a concrete setting is outside its range.
        `check_targets` also refuses integers outside [0, classes) and rows that are not
        distributions.

    >>> softmax_cross_entropy(jnp.array([[0.0, 0.0], [9.0, 0.0]]), jnp.array([0, 0]))
    Array([6.931472e-01, 1.2337e-04], dtype=float32)

    Source: lectures C and L; smoothing: Szegedy et al. 2016.
    """
    check_smoothing(label_smoothing)
    log_p = jax.nn.log_softmax(_wide(logits))
    losses = negative_log_likelihood(log_p, labels, class_weights=class_weights)
    if label_smoothing is None:
        return losses
    a = jnp.asarray(label_smoothing, log_p.dtype)
    uniform = -log_p.mean(-1)
    if class_weights is not None:
        uniform = uniform * _label_weights(labels, log_p, class_weights)
    return (1 - a) * losses + _times(a, uniform)


@checked_by(check_labels)
def negative_log_likelihood(
    log_probabilities: jax.Array, labels: jax.Array, *, class_weights: jax.Array | None = None
) -> jax.Array:
    r"""Compute the cross-entropy of log-probabilities, $-\sum_c p_c \log q_c$.

    Minimizing it is maximum likelihood for a categorical variable. It is for models that end
    in a log-softmax and for averages of probabilities; `softmax_cross_entropy` takes logits.
    (`jaxnn.metrics.negative_log_likelihood` is the metric, which takes logits.)

    Args:
      log_probabilities: (…, classes), log q.
      labels: integer classes of shape (…), or probabilities p of shape (…, classes).
      class_weights: as in `softmax_cross_entropy`.

    Returns:
      Losses of shape (…), in nats; in float32 if the input is narrower. NaN for an integer label
      outside [0, classes).

    Raises:
      TypeError, ValueError: as in `softmax_cross_entropy`.

    >>> negative_log_likelihood(jnp.log(jnp.array([[0.5, 0.5]])), jnp.array([1]))
    Array([0.6931472], dtype=float32)

    Source: lecture C.
    """
    log_p = _wide(log_probabilities)
    check_class_weights(class_weights, log_p.shape[-1])
    if labels.shape == log_p.shape:
        labels = labels.astype(log_p.dtype)
        if class_weights is not None:
            labels = labels * jnp.broadcast_to(jnp.asarray(class_weights, log_p.dtype), log_p.shape)
        return -jnp.sum(_times(labels, log_p), axis=-1)
    if labels.shape != log_p.shape[:-1]:
        raise ValueError(
            f"labels must have shape {log_p.shape[:-1]} (integer classes) or {log_p.shape} "
            f"(probabilities) for outputs of shape {log_p.shape}, whose last axis must have one "
            f"entry per class, got labels of shape {labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels of shape {labels.shape} must be integer classes, got {labels.dtype}"
        )
    # Not a gather: its gradient is a scatter, for which devices that hold unequal shares of a
    # batch must exchange the labels, and which makes XLA of jax 0.7 abort in 64 bits.
    classes = jax.lax.broadcasted_iota(jnp.int32, log_p.shape, log_p.ndim - 1)
    is_label = classes == _index(labels, log_p)[..., None]
    losses = -jnp.sum(jnp.where(is_label, log_p, 0), axis=-1)
    if class_weights is not None:
        losses = _times(_label_weights(labels, log_p, class_weights), losses)
    # `_index` clips labels to the classes, so a label that is none has to be marked here.
    return jnp.where((labels >= 0) & (labels < log_p.shape[-1]), losses, jnp.nan)


@checked_by(check_probabilities)
def sigmoid_cross_entropy(
    logits: jax.Array,
    targets: jax.Array,
    *,
    label_smoothing: Number | None = None,
    pos_weight: Number | None = None,
) -> jax.Array:
    r"""Compute the binary cross-entropy of each example, the mean over its outputs.

    $$\ell = -q\, t \log \sigma(z) - (1 - t) \log(1 - \sigma(z)), \qquad
    t = (1 - a)\, y + \tfrac{a}{2}$$

    Minimizing it is maximum likelihood for independent Bernoulli variables: one in binary
    classification, or one for each label if an example can have several.

    Args:
      logits: (n, …), before the sigmoid.
      targets: y, of exactly the same shape: 0 or 1, or the probability of a 1.
      label_smoothing: a, in [0, 1]; a float or a traced scalar. None: no smoothing.
      pos_weight: q, at least 0, the weight of a 1 relative to a 0: a float, a traced scalar, or
        one for each output, (outputs,). None: 1.

    Returns:
      Losses of shape (n,), in nats; in float32 if the logits are narrower. For a loss per
      token, `jax.vmap` this function.

    Raises:
      ValueError: the shapes differ, or a concrete setting is outside its range. `check_targets`
        also refuses targets outside [0, 1].

    >>> sigmoid_cross_entropy(jnp.array([0.0, 1e4, 1e4]), jnp.array([1, 1, 0]))
    Array([6.931472e-01, 0.000000e+00, 1.000000e+04], dtype=float32)

    Source: lecture L. (The mean over outputs is Keras' convention.)
    """
    check_smoothing(label_smoothing)
    check_pos_weight(pos_weight, logits.shape)
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the logits, {logits.shape}, got {targets.shape}"
        )
    z, t = _wide(logits), targets.astype(_wide(logits).dtype)
    if label_smoothing is not None:
        a = jnp.asarray(label_smoothing, t.dtype)
        t = (1 - a) * t + a / 2
    yes, no = _times(t, jax.nn.softplus(-z)), _times(1 - t, jax.nn.softplus(z))
    if pos_weight is not None:
        yes = yes * jnp.broadcast_to(jnp.asarray(pos_weight, t.dtype), t.shape)
    losses = yes + no
    return losses.reshape(losses.shape[0], -1).mean(axis=1)


def _wide(x: jax.Array) -> jax.Array:
    """Cast to float32 or wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _times(probability: jax.Array, loss: jax.Array) -> jax.Array:
    """Multiply so that 0 · ∞ is 0; the derivative by a probability of 0 stays right."""
    return probability * jnp.where((probability == 0) & jnp.isinf(loss), 0, loss)


def _index(labels: jax.Array, log_p: jax.Array) -> jax.Array:
    """Clip labels to the classes."""
    return jnp.clip(labels, 0, log_p.shape[-1] - 1).astype(jnp.int32)


def _label_weights(labels: jax.Array, log_p: jax.Array, class_weights: jax.Array) -> jax.Array:
    """Return the weight of each example's class, or its mean over soft labels."""
    weights = jnp.asarray(class_weights, log_p.dtype)
    if labels.shape != log_p.shape:
        return weights[_index(labels, log_p)]
    return jnp.sum(labels.astype(log_p.dtype) * jnp.broadcast_to(weights, log_p.shape), axis=-1)
