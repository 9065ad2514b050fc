"""Losses of classifiers."""

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
    r"""Cross-entropy of softmax probabilities, $-\sum_c p_c \log \mathrm{softmax}(z)_c$.

    Minimizing it is maximum likelihood for a categorical variable. With label smoothing $a$
    and class weights $w$, for the label $y$ out of $K$ classes,

    $$\ell = w_y \Big[ -(1 - a) \log \mathrm{softmax}(z)_y
    - \frac{a}{K} \sum_c \log \mathrm{softmax}(z)_c \Big]$$

    so the smoothed target is $(1-a)\,p + a/K$, and soft labels give the mean of this over
    $y \sim p$.

    A class of logit −∞ costs nothing where its probability in the labels is 0 (so not with
    smoothing). A class outside [0, classes), which `fit` refuses, has the loss NaN.

    Args:
      logits: (…, classes), before the softmax.
      labels: integer classes of shape (…), or probabilities of shape (…, classes)
        (one-hot or soft).
      label_smoothing: a, in [0, 1]; a float or a traced scalar. None: off.
      class_weights: (classes,), each at least 0, may be traced. As in Keras, the mean is
        still over examples: $\sum_i w_{y_i} \ell_i / n$. PyTorch divides by
        $\sum_i w_{y_i}$: leave this out, and put `w[y]` into the batch's "weight".

    Returns:
      Losses of shape (…), in nats, at least 0; in float32 where the logits are narrower.

    Raises:
      TypeError: labels of shape (…) that are not integers.
      ValueError: any other shape; a concrete setting out of its range. `check_targets` also
        refuses classes outside [0, classes) and rows that are no distribution.

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
    r"""Cross-entropy of log-probabilities, $-\sum_c p_c \log q_c$.

    Minimizing it is maximum likelihood for a categorical variable. It is for models that end
    in a log-softmax, or an average of probabilities; `softmax_cross_entropy` takes logits.

    Args:
      log_probabilities: (…, classes), log q.
      labels: integer classes of shape (…), or probabilities p of shape (…, classes).
      class_weights: see `softmax_cross_entropy`.

    Returns:
      Losses of shape (…), in nats; in float32 where the input is narrower. NaN for a class
      outside [0, classes).

    Raises:
      TypeError, ValueError: as `softmax_cross_entropy`.

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
            f"(probabilities) for logits of shape {log_p.shape}: the model's last width must be "
            f"the number of classes; got labels of shape {labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels of shape {labels.shape} must be integer classes, got {labels.dtype}"
        )
    # No gather: its gradient is a scatter, for which devices that share the rows of a batch
    # unevenly have to exchange the labels (and at which XLA of jax 0.7 aborts in 64 bits).
    classes = jax.lax.broadcasted_iota(jnp.int32, log_p.shape, log_p.ndim - 1)
    is_label = classes == _index(labels, log_p)[..., None]
    losses = -jnp.sum(jnp.where(is_label, log_p, 0), axis=-1)
    if class_weights is not None:
        losses = _times(_label_weights(labels, log_p, class_weights), losses)
    # A negative index would be a class from the end.
    return jnp.where((labels >= 0) & (labels < log_p.shape[-1]), losses, jnp.nan)


@checked_by(check_probabilities)
def sigmoid_cross_entropy(
    logits: jax.Array,
    targets: jax.Array,
    *,
    label_smoothing: Number | None = None,
    pos_weight: Number | None = None,
) -> jax.Array:
    r"""Cross-entropy of yes or no, the mean over the outputs of an example.

    $$\ell = -q\, t \log \sigma(z) - (1 - t) \log(1 - \sigma(z)), \qquad
    t = (1 - a)\, y + \tfrac{a}{2}$$

    Minimizing it is maximum likelihood for independent Bernoulli variables: one of them in
    binary classification, one for each label where an example may have several.

    Args:
      logits: (n, …), before the sigmoid.
      targets: y, of exactly the same shape: 0 or 1, or probabilities of a 1.
      label_smoothing: a, in [0, 1]; a float or a traced scalar. None: off.
      pos_weight: q, at least 0, how much a yes counts against a no: a float, a traced
        scalar, or one for each output, (outputs,). None: 1.

    Returns:
      Losses of shape (n,), in nats; in float32 where the logits are narrower. For a loss per
      token, `jax.vmap` this function.

    Raises:
      ValueError: shapes that differ; a concrete setting out of its range. `check_targets`
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
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _times(probability: jax.Array, loss: jax.Array) -> jax.Array:
    """The product, in which 0 · ∞ is 0; its derivative by a probability of 0 stays right."""
    return probability * jnp.where((probability == 0) & jnp.isinf(loss), 0, loss)


def _index(labels: jax.Array, log_p: jax.Array) -> jax.Array:
    return jnp.clip(labels, 0, log_p.shape[-1] - 1).astype(jnp.int32)


def _label_weights(labels: jax.Array, log_p: jax.Array, class_weights: jax.Array) -> jax.Array:
    """The weight of each example's class, or its mean over soft labels."""
    weights = jnp.asarray(class_weights, log_p.dtype)
    if labels.shape != log_p.shape:
        return weights[_index(labels, log_p)]
    return jnp.sum(labels.astype(log_p.dtype) * jnp.broadcast_to(weights, log_p.shape), axis=-1)
