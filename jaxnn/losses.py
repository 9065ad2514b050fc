"""Losses: pure functions of outputs and targets, one number per example.

A loss returns the loss of every example (or token), so that the step can weight them and
divide once. It refuses shapes that do not fit, which are known when it is traced, and
carries a `check` of what only values can show, which `jaxnn.fit` runs on the data before
anything is compiled. An own loss is any function `(outputs, targets) -> losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Loss", "check_targets", "softmax_cross_entropy", "squared_error", "unwrap"]

Loss = Callable[[Any, Any], jax.Array]
Check = Callable[[str, jax.ShapeDtypeStruct, np.ndarray, np.ndarray], None]

_F = TypeVar("_F", bound=Callable[..., Any])


def _checked_by(check: Check) -> Callable[[_F], _F]:
    def attach(loss: _F) -> _F:
        loss.check = check  # type: ignore[attr-defined]
        return loss

    return attach


def check_targets(
    loss: Loss, name: str, outputs: jax.ShapeDtypeStruct, targets: Any, weight: Any = None
) -> None:
    """Run the loss's own check of its targets, where it declares one.

    Args:
      loss: one of this module, a `functools.partial` of one, or any function.
      name: of the data in the error, such as "train: y".
      outputs: shape and dtype of the model's outputs for these targets.
      targets: the concrete targets.
      weight: (n,) or (n, tokens); targets of weight 0 are not looked at.

    Raises:
      ValueError, TypeError: targets that the loss cannot take.
    """
    check: Check | None = getattr(unwrap(loss), "check", None)
    if check is None:
        return
    targets = np.asarray(targets)
    counts = np.ones(targets.shape[:1], bool) if weight is None else np.asarray(weight) > 0
    if counts.any():
        check(name, outputs, targets, counts)


def unwrap(loss: Loss) -> Loss:
    """The function behind any number of `functools.partial`."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss


def _check_labels(
    name: str, outputs: jax.ShapeDtypeStruct, labels: np.ndarray, counts: np.ndarray
) -> None:
    classes = outputs.shape[-1]
    if labels.ndim == len(outputs.shape):
        _check_distribution(name, labels, counts)
        return
    labels = labels[counts]  # a padded token may hold anything, -1 as often as not
    lowest, highest = labels.min(), labels.max()
    if lowest < 0:
        raise ValueError(f"{name} must hold classes from 0 to {classes - 1}, got {lowest}")
    if highest >= classes:
        raise ValueError(
            f"{name} must hold classes from 0 to {classes - 1}, since the model's last width is "
            f"{classes}, got {highest}"
        )


def _check_distribution(name: str, labels: np.ndarray, counts: np.ndarray) -> None:
    sums = labels.sum(-1, dtype=np.float64)
    # Written so that a NaN, which compares false, is no distribution.
    good = (labels >= 0).all(-1) & (np.abs(sums - 1) <= 1e-3)
    bad = ~good & counts.reshape(counts.shape + (1,) * (good.ndim - counts.ndim))
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(np.argmax(bad), bad.shape))
        raise ValueError(
            f"{name} must hold a probability for each class, at least 0 and with sum 1, "
            f"got {labels[index]} (row {', '.join(map(str, index))})"
        )


@_checked_by(_check_labels)
def softmax_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    r"""Cross-entropy of softmax probabilities, $-\sum_c p_c \log \mathrm{softmax}(z)_c$.

    Minimizing it is maximum likelihood for a categorical variable.

    Args:
      logits: (…, classes), before the softmax.
      labels: integer classes of shape (…), or probabilities of shape (…, classes)
        (one-hot or soft).

    Returns:
      Losses of shape (…), at least 0, in nats.

    Raises:
      TypeError: labels of shape (…) that are not integers.
      ValueError: any other shape. `check_targets` also refuses classes outside
        [0, classes) and rows that are no distribution.

    >>> softmax_cross_entropy(jnp.array([[0.0, 0.0], [9.0, 0.0]]), jnp.array([0, 0]))
    Array([6.931472e-01, 1.2337e-04], dtype=float32)

    Source: lectures C and L.
    """
    log_p = jax.nn.log_softmax(logits)
    if labels.shape == logits.shape:
        return -jnp.sum(labels.astype(log_p.dtype) * log_p, axis=-1)
    if labels.shape == logits.shape[:-1]:
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise TypeError(
                f"labels of shape {labels.shape} must be integer classes, got {labels.dtype}"
            )
        return -jnp.take_along_axis(log_p, labels[..., None].astype(jnp.int32), axis=-1)[..., 0]
    raise ValueError(
        f"labels must have shape {logits.shape[:-1]} (integer classes) or {logits.shape} "
        f"(probabilities) for logits of shape {logits.shape}: the model's last width must be "
        f"the number of classes; got labels of shape {labels.shape}"
    )


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    r"""Squared error of each example, the mean of $(\hat y - y)^2$ over its outputs.

    Minimizing it is maximum likelihood under Gaussian noise of constant variance.

    Args:
      predictions: (n, …).
      targets: of exactly the same shape. Nothing is broadcast: (n,) against (n, 1)
        would silently become n × n differences.

    Returns:
      Losses of shape (n,).

    Raises:
      ValueError: shapes that differ.

    >>> squared_error(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[1.0, 4.0], [0.0, 0.0]]))
    Array([2., 0.], dtype=float32)

    Source: lectures L and M. (Lecture M's worked example has no mean: one output.)
    """
    if predictions.shape != targets.shape:
        raise ValueError(
            f"targets must have the shape of the predictions, {predictions.shape}, "
            f"got {targets.shape}"
        )
    wide = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    squares = jnp.square(predictions.astype(wide) - targets.astype(wide))
    return squares.reshape(squares.shape[0], -1).mean(axis=1)
