"""Losses of whole vectors: how far two distributions or two directions are apart."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_flag
from jaxnn.losses.checks import checked_by
from jaxnn.losses.inputs import as_real, check_same_shape, class_axis, mask_of, refuse_empty
from jaxnn.losses.parts import times
from jaxnn.losses.targets import check_distribution, check_setting, check_shapes

__all__ = ["cosine_distance", "kl_divergence"]


def _check_kl(
    name: str,
    outputs: Any,
    targets: np.ndarray,
    counts: np.ndarray,
    *,
    log_targets: Any = False,
    axis: Any = -1,
    where: Any = None,
) -> None:
    del where  # belongs to one batch, so the losses themselves check it
    logs = check_flag("log_targets", log_targets)
    check_shapes(name, outputs, targets)
    number = class_axis("outputs", outputs.shape, axis)
    probabilities = np.exp(targets.astype(np.float64)) if logs else targets
    check_distribution(name, np.moveaxis(probabilities, number, -1), counts)


@checked_by(_check_kl)
def kl_divergence(
    log_predictions: jax.Array,
    targets: jax.Array,
    *,
    log_targets: bool = False,
    axis: int = -1,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Compute the Kullback-Leibler divergence of predicted from target probabilities.

    $$\mathrm{KL}(p \,\|\, q) = \sum_c p_c\, (\log p_c - \log q_c)$$

    It is the cross-entropy less the entropy of the targets, so its gradient is that of
    `softmax_cross_entropy` and its lowest value is 0. It is what distillation minimizes.

    Args:
      log_predictions: log q, (…, classes), as `jax.nn.log_softmax` gives them.
      targets: p, of the same shape, each row with sum 1. A class of probability 0 adds 0.
      log_targets: whether `targets` are log p; static.
      axis: of the classes; static.
      where: bool, (…), or of its leading axes: which losses count, as in
        `softmax_cross_entropy`.

    Returns:
      Losses of shape (…), in nats; in float32 if the input is narrower.

    Raises:
      TypeError: what is no real number, or a flag that is none.
      ValueError: the shapes differ, or there are no examples. `check_targets` also refuses rows
        that are not distributions.

    >>> kl_divergence(jnp.log(jnp.array([[0.5, 0.5]])), jnp.array([[1.0, 0.0]]))
    Array([0.6931472], dtype=float32)

    Source: Kullback and Leibler 1951; in distillation Hinton et al. 2015. (As in Optax. PyTorch's
    `kl_div` is it with reduction="none", summed over the classes.)
    """
    logs = check_flag("log_targets", log_targets)
    q, p, mask = _rows("log_predictions", log_predictions, targets, axis, where)
    log_p = p
    if logs:
        p = jnp.exp(p)
    else:
        log_p = jnp.log(jnp.where(p > 0, p, 1))
    # Each product alone, since a class that is certain not to come has log q of -inf.
    losses = jnp.sum(times(p, log_p) - times(p, q), axis=-1)
    return losses if mask is None else jnp.where(mask, losses, 0)


def _check_cosine(
    name: str,
    outputs: Any,
    targets: np.ndarray,
    counts: np.ndarray,
    *,
    epsilon: Any = 0.0,
    axis: Any = -1,
    where: Any = None,
) -> None:
    del counts, where  # any numbers are fine
    check_setting("epsilon", epsilon, outputs)
    class_axis("outputs", outputs.shape, axis)
    check_shapes(name, outputs, targets)


@checked_by(_check_cosine)
def cosine_distance(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    epsilon: float | jax.Array = 0.0,
    axis: int = -1,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Compute the cosine distance of two vectors, which their lengths do not change.

    $$\ell = 1 - \frac{\hat y \cdot y}{\max(\|\hat y\|, \epsilon) \max(\|y\|, \epsilon)}$$

    Args:
      predictions: (…, dimensions).
      targets: of exactly the same shape.
      epsilon: ϵ, at least 0, the smallest length by which is divided; a float or a traced
        scalar. With 0 a vector of length 0 has the distance 1 and the gradient 0.
      axis: of the dimensions; static.
      where: bool, (…), or of its leading axes: which losses count, as in
        `softmax_cross_entropy`.

    Returns:
      Losses of shape (…), from 0 to 2; in float32 if the input is narrower.

    Raises:
      TypeError: what is no real number.
      ValueError: the shapes differ, there are no examples, or a concrete `epsilon` is below 0, or
        vanishes or overflows in the dtype of the losses.

    >>> cosine_distance(jnp.array([[3.0, 0.0], [1.0, 1.0]]), jnp.array([[1.0, 0.0], [2.0, 0.0]]))
    Array([0.        , 0.29289323], dtype=float32)

    Source: common practice; no lecture teaches it. (As in Optax, which clips the squared lengths
    at ϵ; PyTorch's `cosine_similarity` has ϵ = 1e-8, Keras' loss is the negative cosine.)
    """
    a, b, mask = _rows("predictions", predictions, targets, axis, where)
    check_setting("epsilon", epsilon, a)
    losses = 1 - jnp.sum(_unit(a, epsilon) * _unit(b, epsilon), axis=-1)
    return losses if mask is None else jnp.where(mask, losses, 0)


def _unit(x: jax.Array, epsilon: Any) -> jax.Array:
    """Divide by the length, whose square neither overflows nor vanishes."""
    largest = jnp.abs(jax.lax.stop_gradient(x)).max(-1, keepdims=True)
    nothing = largest == 0
    scale = jnp.where(nothing | ~jnp.isfinite(largest), 1, largest)
    x = x / scale
    length = jnp.sqrt(jnp.where(nothing, 1, jnp.square(x).sum(-1, keepdims=True)))
    unit = x / jnp.maximum(length, jnp.asarray(epsilon, x.dtype) / scale)
    return jnp.where(nothing, 0, unit)


def _rows(
    name: str, outputs: Any, targets: Any, axis: Any, where: Any
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return both with the vectors along the last axis, 0 where they do not count, and the mask."""
    outputs, targets = as_real(name, outputs), as_real("targets", targets)
    check_same_shape(name, outputs.shape, targets.shape)
    number = class_axis(name, outputs.shape, axis)
    refuse_empty(name, outputs)
    dtype = jnp.promote_types(jnp.result_type(outputs, targets), jnp.float32)
    a, b = (jnp.moveaxis(part.astype(dtype), number, -1) for part in (outputs, targets))
    if where is None:
        return a, b, None
    mask = mask_of(where, a.shape[:-1])
    return jnp.where(mask[..., None], a, 0), jnp.where(mask[..., None], b, 0), mask
