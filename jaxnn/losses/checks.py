"""The check that a loss carries, and what a loss leaves out by its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_attributes, check_function, check_text
from jaxnn.losses.inputs import as_real, check_weight, kept, real_array

__all__ = ["Check", "Loss", "check_targets", "checked_by", "counted", "unwrap"]

Loss = Callable[[Any, Any], jax.Array]
"""The type of a loss: `(outputs, targets) -> losses`, one for each example."""

Check = Callable[..., None]
"""`(name, outputs, targets, counts, **settings)`, where the settings are those of the loss."""

_F = TypeVar("_F", bound=Callable[..., Any])


def checked_by(check: Check) -> Callable[[_F], _F]:
    """Decorate a loss of this package with the check of its targets and settings."""

    def attach(loss: _F) -> _F:
        loss.check = check  # type: ignore[attr-defined]
        loss.direction = "min"  # type: ignore[attr-defined]
        return loss

    return attach


def check_targets(
    loss: Loss, name: str, outputs: jax.ShapeDtypeStruct, targets: Any, weight: Any = None
) -> None:
    """Run the loss's own check of its targets, if it declares one.

    Args:
      loss: one of this package, any function, or a `functools.partial` of one, whose settings
        are checked too.
      name: what the error calls the data, such as "train: y".
      outputs: shape and dtype of the model's outputs for these targets; the number of examples
        may be another.
      targets: the concrete targets.
      weight: (n,) or (n, tokens); targets of weight 0 are not checked. None: all are.

    Raises:
      ValueError, TypeError: an argument is not of its kind, or the loss cannot take these
        targets.
    """
    check_function("loss", loss)
    check_text("name", name)
    check_attributes("outputs", outputs, ("shape", "dtype"), "an array, or its shape and dtype")
    check: Check | None = getattr(unwrap(loss), "check", None)
    if check is None:
        return
    if not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise TypeError(f"outputs must be floating-point numbers, got dtype {outputs.dtype}")
    targets = np.asarray(real_array(name, targets))
    counts = np.ones(targets.shape[:1], bool)
    if weight is not None:
        weight = real_array("weight", weight)
        check_weight(weight, "targets", targets.shape, jnp.promote_types(outputs.dtype, "float32"))
        if not weight.ndim:
            raise ValueError("weight must have an axis of examples, (n, …), got a single number")
        counts = np.asarray(weight) > 0
    check(name, outputs, targets, counts, **_settings(loss))


def counted(loss: Loss, targets: Any, losses: jax.Array, weight: Any = None) -> Any:
    """Return the weight with 0 for what the loss leaves out by its `ignore_index`.

    So the mean is over the examples or tokens that count, as in PyTorch.

    Args:
      loss: one of this package, any function, or a `functools.partial` of one.
      targets: (n, …), those that the losses were computed from.
      losses: (n, …), what the loss has returned.
      weight: (n,) or (n, tokens). None: all 1.

    Returns:
      The weight itself if the loss leaves out nothing; else weights of the losses' shape.

    >>> from jaxnn.losses import softmax_cross_entropy
    >>> loss = partial(softmax_cross_entropy, ignore_index=-100)
    >>> labels = jnp.array([1, -100, 0])
    >>> counted(loss, labels, loss(jnp.zeros((3, 2)), labels))
    Array([1., 0., 1.], dtype=float32)
    """
    ignore_index = _settings(loss).get("ignore_index")
    if ignore_index is None or not hasattr(unwrap(loss), "check"):
        return weight
    # Of an example with several outputs the loss is the mean of those that count.
    counts = kept(as_real("targets", targets), jnp.shape(targets), None, ignore_index)
    assert counts is not None  # since something is left out
    counts = counts.reshape(*losses.shape, -1).any(-1).astype(losses.dtype)
    if weight is None:
        return counts
    weight = jnp.asarray(weight)
    return counts * weight.reshape(weight.shape + (1,) * (counts.ndim - weight.ndim))


def unwrap(loss: Loss) -> Loss:
    """Return the function behind any number of `functools.partial`."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss


def _settings(loss: Loss) -> dict[str, Any]:
    # A partial of a partial is one partial, with the settings of both.
    return loss.keywords if isinstance(loss, partial) else {}
