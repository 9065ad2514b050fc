"""Combine augmentations, and apply those of images to other layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxnn.arguments import check_positive_int, check_sequence
from jaxnn.data.augment.inputs import Augmentation, inputs_of
from jaxnn.keys import as_key, stream

__all__ = ["as_images", "compose"]


def compose(*augmentations: Augmentation) -> Augmentation:
    """Apply augmentations one after the other, each with draws of its own.

    The address of a draw is the name of the function that made the augmentation, and the number of
    augmentations of that name before it, so that adding a flip changes no crop. Each of `rotate`,
    `translate`, `zoom` and `shear` interpolates the image and blurs it a little; one `affine`
    interpolates once for all four.

    Args:
      *augmentations: in their order; any functions `(key, batch) -> batch`.

    Returns:
      An augmentation.

    Raises:
      TypeError: an argument that is no function.

    >>> import jax, jax.numpy as jnp
    >>> from jaxnn.data import augment
    >>> augmentation = augment.compose(augment.crop(2), augment.noise(0.1))
    >>> jax.jit(augmentation)(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).shape
    (2, 8, 8, 1)

    Source: lecture C, combine primitive shifts.
    """
    for augmentation in augmentations:
        _check_augmentation(augmentation)
    names = [_name(augmentation) for augmentation in augmentations]

    def composed(key, batch):
        key = as_key(key)
        for i, (name, augmentation) in enumerate(zip(names, augmentations, strict=True)):
            batch = augmentation(stream(key, name, names[:i].count(name)), batch)
        return batch

    return composed


def as_images(shape: Sequence[int], augmentation: Augmentation) -> Augmentation:
    """Apply an augmentation of images to inputs of another layout.

    An augmentation that moves pixels suits inputs that are scaled alike at every pixel, by one
    mean and deviation. Where each pixel was standardized by its own statistics, which is the
    default of `jaxnn.data.digits`, a value means something else on another pixel.

    Args:
      shape: (height, width, channels), into which each row is reshaped, and back afterwards.
      augmentation: of images (n, height, width, channels).

    Returns:
      An augmentation of inputs (n, …), such as (n, 64) or (n, 8, 8) for the shape (8, 8, 1).

    Raises:
      ValueError: a shape of other than three positive integers, or rows of another size.

    >>> import jax, jax.numpy as jnp
    >>> from jaxnn.data import augment
    >>> augmentation = augment.as_images((8, 8, 1), augment.crop(1))
    >>> jax.jit(augmentation)(jax.random.key(0), jnp.zeros((5, 64))).shape
    (5, 64)
    """
    shape = tuple(check_positive_int("shape", size) for size in check_sequence("shape", shape))
    if len(shape) != 3:
        raise ValueError(f"shape must be (height, width, channels), got {shape}")
    _check_augmentation(augmentation)

    def augmented(key, batch):
        before = (inputs_of(batch) if isinstance(batch, Mapping) else batch).shape
        if math.prod(before[1:]) != math.prod(shape):
            raise ValueError(
                f"x must have rows of {math.prod(shape)} values for images of shape {shape}, "
                f"got shape {before}"
            )
        batch = _with_inputs(batch, lambda x: x.reshape(before[0], *shape))
        return _with_inputs(augmentation(key, batch), lambda x: x.reshape(before))

    return augmented


def _with_inputs(batch: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(batch, Mapping):
        return {**batch, "x": change(inputs_of(batch))}
    return change(batch)


def _check_augmentation(function: Any) -> None:
    if not callable(function):
        raise TypeError(f"an augmentation must be a function, got {function!r}")


def _name(augmentation: Any) -> str:
    whole = getattr(augmentation, "__qualname__", None) or type(augmentation).__qualname__
    return whole.partition(".<locals>")[0]
