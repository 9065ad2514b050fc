"""What the metrics of classifiers share: predictions, labels, and the weight of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_knob
from jaxnn.losses.inputs import Classes, as_real, check_same_shape, classes_last, kept
from jaxnn.losses.parts import wide
from jaxnn.metrics.sums import weight_of

__all__ = ["Binary", "Judged", "judged", "judged_binary", "labelled"]


class Judged(NamedTuple):
    """Logits with their classes along the last axis, and what is known of each example."""

    logits: jax.Array  # (…, classes)
    labels: jax.Array  # (…) int32; of probabilities the largest, -1 if they are not finite
    finite: jax.Array  # (…) whether the logits say anything
    weight: jax.Array | None  # (…) as they are, or None where each counts once

    @property
    def predicted(self) -> jax.Array:
        return self.logits.argmax(-1)

    @property
    def weights(self) -> jax.Array:
        """The weight of each example, in float32 or wider."""
        dtype = jnp.promote_types(self.logits.dtype, jnp.float32)
        return weight_of(jnp.zeros(self.labels.shape, dtype), self.weight)

    @property
    def poisoned(self) -> jax.Array:
        """The weight of each example, NaN where its logits are not finite."""
        return _poisoned(self.weights, self.finite)


def judged(
    logits: Any, labels: Any, weight: Any, axis: Any, where: Any, ignore_index: Any
) -> Judged:
    """Check logits and labels, bring their classes to the last axis, and predict."""
    (outputs, labels, soft), _, weight = labelled(logits, labels, weight, axis, where, ignore_index)
    if soft:
        labels = jnp.where(_finite(labels), labels.argmax(-1), -1)
    return Judged(outputs, labels, _finite(outputs), weight)


def labelled(
    logits: Any, labels: Any, weight: Any, axis: Any, where: Any, ignore_index: Any
) -> tuple[Classes, jax.Array | None, jax.Array | None]:
    """Check logits and labels; return them, the mask of what counts, and the weight under it."""
    data = classes_last("logits", logits, labels, axis)
    shape = data.outputs.shape[:-1]
    mask = kept(data.labels, shape, where, ignore_index, soft=data.soft)
    return data, mask, _masked(weight, shape, mask)


class Binary(NamedTuple):
    """Predictions of yes or no, and what is known of each."""

    predicted: jax.Array  # (n, …) bool
    true: jax.Array  # (n, …) bool
    finite: jax.Array  # (n, …) whether output and target say anything
    weight: jax.Array | None  # of the leading axes, or None where each counts once

    @property
    def poisoned(self) -> jax.Array:
        """The weight of each output, NaN where it or its target is not finite."""
        weights = weight_of(jnp.zeros(self.true.shape, float), self.weight)
        return _poisoned(weights, self.finite)


def judged_binary(
    logits: Any,
    targets: Any,
    weight: Any,
    threshold: Any,
    probabilities: Any,
    where: Any,
    ignore_index: Any,
) -> Binary:
    """Check outputs and targets of yes or no, and predict."""
    said = check_flag("probabilities", probabilities)
    check_knob("threshold", threshold, 0, 1)
    outputs, targets = as_real("logits", logits), as_real("targets", targets)
    check_same_shape("logits", outputs.shape, targets.shape)
    mask = kept(targets, targets.shape, where, ignore_index)
    z = wide(outputs)
    border = jnp.asarray(threshold, z.dtype)
    if not said:
        border = jnp.log(border / (1 - border))  # exactly 0 at ½
    finite = jnp.isfinite(z) & jnp.isfinite(wide(targets))
    return Binary(z > border, targets > 0.5, finite, _masked(weight, targets.shape, mask))


def _finite(rows: jax.Array) -> jax.Array:
    """Whether the largest of each row is a number; a class may be ruled out by −∞."""
    return jnp.isfinite(wide(rows).max(-1))


def _poisoned(weights: jax.Array, finite: jax.Array) -> jax.Array:
    return jnp.where(finite | (weights == 0), weights, jnp.nan)


def _masked(weight: Any, shape: tuple[int, ...], mask: jax.Array | None) -> jax.Array | None:
    """Return the weight with 0 where the mask is False."""
    if mask is None:
        return None if weight is None else as_real("weight", weight)
    whole = weight_of(jnp.zeros(shape, float), weight)
    return jnp.where(mask, whole, 0)
