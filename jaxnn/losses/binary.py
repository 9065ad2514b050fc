"""Losses of yes-or-no outputs: cross-entropy, hinge and focal."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob
from jaxnn.losses.checks import checked_by
from jaxnn.losses.inputs import as_real, check_same_shape, kept, refuse_empty
from jaxnn.losses.parts import mean_of_outputs, times, wide
from jaxnn.losses.targets import (
    check_pos_weight,
    check_probabilities,
    check_setting,
    check_shapes,
    check_smoothing,
)

__all__ = ["hinge", "sigmoid_cross_entropy", "sigmoid_focal"]


@checked_by(check_probabilities)
def sigmoid_cross_entropy(
    logits: jax.Array,
    targets: jax.Array,
    *,
    label_smoothing: float | jax.Array | None = None,
    pos_weight: float | jax.Array | None = None,
    where: jax.Array | None = None,
    ignore_index: int | None = None,
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
      where: bool, (n, …), or of its leading axes: which outputs count. The mean is over those,
        and 0 if there are none; the others may hold anything. None: all count.
      ignore_index: an integer target, such as −1 for a label that is missing, whose output does
        not count; static. In `fit` an example without any that counts is in no mean. None:
        every target is a probability.

    Returns:
      Losses of shape (n,), in nats; in float32 if the logits are narrower. For a loss per
      token, `jax.vmap` this function.

    Raises:
      TypeError: what is no real number.
      ValueError: the shapes differ, there are no examples, or a concrete setting is outside its
        range. `check_targets` also refuses targets outside [0, 1].

    >>> sigmoid_cross_entropy(jnp.array([0.0, 1e4, 1e4]), jnp.array([1, 1, 0]))
    Array([6.931472e-01, 0.000000e+00, 1.000000e+04], dtype=float32)
    >>> sigmoid_cross_entropy(jnp.zeros((1, 2)), jnp.array([[1, -1]]), ignore_index=-1)
    Array([0.6931472], dtype=float32)

    Source: lecture L. (The mean over outputs is Keras' convention.)
    """
    check_smoothing(label_smoothing)
    z, t, mask = _paired("logits", logits, targets, where, ignore_index)
    check_pos_weight(pos_weight, z)
    if label_smoothing is not None:
        a = jnp.asarray(label_smoothing, t.dtype)
        t = (1 - a) * t + a / 2
    yes, no = times(t, jax.nn.softplus(-z)), times(1 - t, jax.nn.softplus(z))
    if pos_weight is not None:
        yes = yes * jnp.broadcast_to(jnp.asarray(pos_weight, t.dtype), t.shape)
    return mean_of_outputs(yes + no, mask)


def _check_signs(
    name: str,
    outputs: Any,
    targets: np.ndarray,
    counts: np.ndarray,
    *,
    margin: Any = 1.0,
    where: Any = None,
) -> None:
    del where  # belongs to one batch, so the losses themselves check it
    check_setting("margin", margin, outputs)
    check_shapes(name, outputs, targets)
    targets = targets[counts]
    bad = (targets != 1) & (targets != -1)
    if bad.any():
        raise ValueError(f"{name} must be -1 (no) or 1 (yes), got {targets[bad][0]}")


@checked_by(_check_signs)
def hinge(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Compute the hinge loss of a decision function, the mean over its outputs.

    $$\ell = \max(0,\; m - y\, \hat y)$$

    It is 0 once a prediction is on the right side of 0 by the margin.

    Args:
      predictions: ŷ, (n, …), of any size and sign.
      targets: y, of exactly the same shape, −1 or 1; from 0 and 1 they are `2 * y - 1`.
      margin: m, at least 0; a float or a traced scalar.
      where: bool, (n, …), or of its leading axes: which outputs count, as in
        `sigmoid_cross_entropy`.

    Returns:
      Losses of shape (n,); in float32 if the input is narrower.

    Raises:
      TypeError: what is no real number.
      ValueError: the shapes differ, there are no examples, or a concrete `margin` is below 0, or
        vanishes or overflows in the dtype of the losses. `check_targets` also refuses
        targets other than −1 and 1.

    >>> hinge(jnp.array([2.0, 0.5, -1.0]), jnp.array([1, 1, 1]))
    Array([0. , 0.5, 2. ], dtype=float32)

    Source: Cortes and Vapnik 1995; common practice, no lecture teaches it. (As `hinge_loss` in
    Optax. Keras' `Hinge` also takes 0 and 1.)
    """
    z, y, mask = _paired("predictions", predictions, targets, where)
    check_setting("margin", margin, z)
    return mean_of_outputs(jnp.maximum(0, jnp.asarray(margin, z.dtype) - y * z), mask)


def _check_focal(
    name: str,
    outputs: Any,
    targets: np.ndarray,
    counts: np.ndarray,
    *,
    alpha: Any = None,
    gamma: Any = 2.0,
    where: Any = None,
) -> None:
    _check_alpha_gamma(alpha, gamma, outputs)
    check_probabilities(name, outputs, targets, counts, where=where)


@checked_by(_check_focal)
def sigmoid_focal(
    logits: jax.Array,
    targets: jax.Array,
    *,
    alpha: float | jax.Array | None = None,
    gamma: float | jax.Array = 2.0,
    where: jax.Array | None = None,
) -> jax.Array:
    r"""Compute the focal loss, a binary cross-entropy in which easy outputs weigh little.

    $$\ell = -a_t\, (1 - p_t)^{\gamma} \log p_t, \qquad
    p_t = \sigma(z) \text{ for } y = 1,\; 1 - \sigma(z) \text{ for } y = 0$$

    Of a target between 0 and 1, $p_t = y\,\sigma(z) + (1 - y)(1 - \sigma(z))$ in the factor and
    the logarithm is replaced by the cross-entropy. The loss of an example is the mean over its
    outputs.

    Args:
      logits: z, (n, …), before the sigmoid.
      targets: y, of exactly the same shape: 0 or 1, or the probability of a 1.
      alpha: the weight $a_t$ of a 1, in [0, 1]; that of a 0 is 1 − alpha. A float or a traced
        scalar. None: both weigh 1.
      gamma: γ, at least 0, which is the cross-entropy; a float or a traced scalar.
      where: bool, (n, …), or of its leading axes: which outputs count, as in
        `sigmoid_cross_entropy`.

    Returns:
      Losses of shape (n,), in nats; in float32 if the logits are narrower.

    Raises:
      TypeError: what is no real number.
      ValueError: the shapes differ, there are no examples, or a concrete setting is outside its
        range. `check_targets` also refuses targets outside [0, 1].

    >>> sigmoid_focal(jnp.array([0.0, 4.0]), jnp.array([1, 1]))
    Array([1.732868e-01, 5.872e-06], dtype=float32)

    Source: Lin et al. 2017, who take γ = 2 and α = 0.25; common practice, no lecture teaches it.
    (As `sigmoid_focal_loss` in Optax and torchvision, whose α of None is −1.)
    """
    z, t, mask = _paired("logits", logits, targets, where)
    _check_alpha_gamma(alpha, gamma, z)
    missed = t * jax.nn.sigmoid(-z) + (1 - t) * jax.nn.sigmoid(z)  # 1 - p_t, without cancellation
    # At 0, where p_t rounds to 1, the slope of a power below 1 is infinite.
    missed = jnp.maximum(missed, jnp.finfo(z.dtype).tiny)
    factor = missed ** jnp.asarray(gamma, z.dtype)
    losses = times(t, jax.nn.softplus(-z)) + times(1 - t, jax.nn.softplus(z))
    if alpha is not None:
        a = jnp.asarray(alpha, z.dtype)
        factor = factor * (a * t + (1 - a) * (1 - t))
    return mean_of_outputs(times(factor, losses), mask)


def _check_alpha_gamma(alpha: Any, gamma: Any, outputs: Any) -> None:
    if alpha is not None:
        check_knob("alpha", alpha, 0, 1)
    check_setting("gamma", gamma, outputs)


def _paired(
    name: str, outputs: Any, targets: Any, where: Any, ignore_index: Any = None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return outputs and targets of one dtype, 0 where they do not count, and the mask."""
    outputs, targets = as_real(name, outputs), as_real("targets", targets)
    check_same_shape(name, outputs.shape, targets.shape)
    refuse_empty(name, outputs)
    z = wide(outputs)
    t = targets.astype(z.dtype)
    mask = kept(targets, t.shape, where, ignore_index)
    if mask is None:
        return z, t, None
    return jnp.where(mask, z, 0), jnp.where(mask, t, 0), mask
