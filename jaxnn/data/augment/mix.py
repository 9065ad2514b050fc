"""Mixup: convex combinations of pairs of examples and of their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_positive_int, is_concrete
from jaxnn.data.augment.inputs import (
    Augmentation,
    Knob,
    floating,
    inputs_of,
    per_row,
    uniform,
    unless,
    wide,
)
from jaxnn.keys import as_key, stream

__all__ = ["mixup"]


def mixup(alpha: Knob, classes: int | None = None) -> Augmentation:
    r"""Mix each example with another one of its batch, and their labels likewise.

    $$\tilde x_i = \lambda_i x_i + (1 - \lambda_i)\, x_{\pi(i)}, \qquad
      \tilde y_i = \lambda_i y_i + (1 - \lambda_i)\, y_{\pi(i)}, \qquad
      \lambda_i \sim \mathrm{Beta}(\alpha, \alpha)$$

    π is a random cycle through the examples whose weight is not 0, so that no example is its own
    partner and padding is no example's partner: each example draws a number, and its partner is
    the example with the next larger number. An example of weight 0 stays unchanged. With weights
    $w$ the new weight is $\tilde w_i = \lambda_i w_i + (1 - \lambda_i) w_{\pi(i)}$, and labels mix
    in the proportion of the weights, so that the loss is $\lambda_i w_i \ell(y_i) + (1 - \lambda_i)
    w_{\pi(i)} \ell(y_{\pi(i)})$, as in the paper.

    Args:
      alpha: α, at least 0; a float or a traced scalar. 0.2 to 0.4 is usual, 1 is uniform, and
        0 mixes nothing (λ = 1).
      classes: their number, where labels are integers (n,): they become probabilities
        (n, classes), also where `alpha` is 0. None: targets are floats, and mixed as they are.

    Returns:
      An augmentation of batches that are mappings with "x", floats of any shape (n, …), "y"
      and, where there is one, "weight" (n,).

    Raises:
      TypeError: a batch that is no mapping.
      ValueError: a concrete `alpha` below 0, `classes` that is no positive integer, labels
        that do not match `classes`, or weights per token.

    >>> batch = {"x": jnp.array([[0.0], [1.0]]), "y": jnp.array([0, 1])}
    >>> mixed = jax.jit(mixup(0.4, classes=2))(jax.random.key(0), batch)
    >>> bool(jnp.allclose(mixed["x"][:, 0], mixed["y"][:, 1]))
    True

    Source: Zhang et al. 2018. (Their program draws one λ for the batch, and a permutation that
    may pair an example with itself; the formula is that of the paper.)
    """
    check_knob("alpha", alpha, 0)
    if classes is not None:
        classes = check_positive_int("classes", classes)

    def augmentation(key, batch):
        key = as_key(key)
        x, y, weight = _parts(batch, classes)
        real = weight != 0
        share = jnp.where(real, _shares(stream(key, "share"), x, alpha), 1)
        partner = _partners(uniform(stream(key, "partner"), x), real)
        ours, theirs = share * weight, (1 - share) * weight[partner]
        total = ours + theirs
        share_of_label = jnp.where(real, ours / jnp.where(real, total, 1), 1)
        mixed = {"x": _mixed(x, partner, share), "y": _mixed(y, partner, share_of_label)}
        if batch.get("weight") is not None:
            mixed["weight"] = total.astype(batch["weight"].dtype)
        return {**batch, **mixed}

    return augmentation


def _mixed(values: jax.Array, partner: jax.Array, share: jax.Array) -> jax.Array:
    # A row whose share is 1 must not be touched by its partner, which may hold NaN.
    theirs = values[partner]
    share = per_row(share, values)
    return unless(share == 1, values, theirs + share * (values - theirs))


def _shares(key: jax.Array, x: jax.Array, alpha: Knob) -> jax.Array:
    r"""λ of each row, 1 where α is 0 and Beta(0, 0) would be a coin.

    $$\lambda = \tfrac{1}{2} \pm \tfrac{1}{2} \Big(1 +
      \frac{1}{(U^{-1/\alpha} - 1) \cos^2 2 \pi V}\Big)^{-1/2}$$

    with the sign of the cosine: Devroye 1996, "Random variate generation in one line of code".
    Nothing is drawn and rejected, so that the draws do not depend on α.
    """
    alpha = jnp.asarray(alpha, wide(x))
    u, v = jnp.moveaxis(uniform(key, x, 2), -1, 0)
    cos = jnp.cos(2 * jnp.pi * v)
    spread = jnp.expm1(-jnp.log(u) / jnp.where(alpha > 0, alpha, 1)) * cos**2
    return jnp.where(alpha > 0, 0.5 + 0.5 * jnp.sign(cos) / jnp.sqrt(1 + 1 / spread), 1)


def _partners(draws: jax.Array, real: jax.Array) -> jax.Array:
    """Return for each real row the one with the next larger draw; the largest gets the smallest."""
    n = draws.shape[0]
    order = jnp.argsort(jnp.where(real, draws, jnp.inf), stable=True)
    position = jnp.arange(n)
    following = order[jnp.where(position + 1 < real.sum(), position + 1, 0)]
    return position.at[order].set(jnp.where(real[order], following, order))


def _parts(batch: Any, classes: int | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return inputs, targets as floats, and weights."""
    if not isinstance(batch, Mapping):
        raise TypeError(f'batch must be a mapping with "x" and "y" for mixup, got {type(batch)}')
    x = floating(inputs_of(batch))
    if "y" not in batch:
        raise ValueError(f'batch must hold "y" for mixup, got the keys {sorted(batch)}')
    y, weight = jnp.asarray(batch["y"]), batch.get("weight")
    if weight is None:
        weight = jnp.ones(x.shape[0], wide(x))
    if weight.ndim != 1:
        raise ValueError(f"weight must be per example, (n,), for mixup, got shape {weight.shape}")
    return x, _as_floats(y, classes, wide(x)), weight.astype(wide(x))


def _as_floats(y: jax.Array, classes: int | None, dtype: Any) -> jax.Array:
    if not jnp.issubdtype(y.dtype, jnp.floating):
        if classes is None or y.ndim != 1:
            raise ValueError(
                "y must be floats, or integer classes (n,) with classes= given to mixup, got "
                f"{y.dtype} of shape {y.shape} with classes={classes}"
            )
        if is_concrete(y) and y.size and not 0 <= int(y.min()) <= int(y.max()) < classes:
            raise ValueError(
                f"y must be classes from 0 to {classes - 1} for mixup with classes={classes}, got "
                f"from {int(y.min())} to {int(y.max())}"
            )
        return jax.nn.one_hot(y, classes, dtype=dtype)
    if classes is not None and (y.ndim != 2 or y.shape[-1] != classes):
        raise ValueError(
            f"y must be integer classes (n,) or probabilities (n, {classes}) for mixup with "
            f"classes={classes}, got {y.dtype} of shape {y.shape}"
        )
    return y
