r"""What all normalization layers share: their arguments, statistics, and the affine map.

$$y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

The layers differ in the set over which μ and σ² are taken: the rows of the batch (and the
pixels), the features of an example, or groups of channels. The variance is the biased one, ÷N. It
is computed in a second pass, since E[x²] − E[x]² loses digits where the mean is large. Statistics
are computed in float32 or wider.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_knob
from jaxnn.nn.checks import check_dtype, check_initializer, numbers
from jaxnn.nn.initializers.basic import Initializer, constant, zeros
from jaxnn.tree import check_held

__all__ = ["Axes", "Normalization", "along", "axes_of", "checked_mask", "masked_mean", "wide"]

Axes = int | Sequence[int]


class Normalization(nn.Module, kw_only=True):
    """The arguments and the affine map that all normalizations share."""

    epsilon: float | jax.Array
    use_bias: bool = True
    use_scale: bool = True
    bias_init: Initializer = zeros()
    scale_init: Initializer = constant(1.0)
    dtype: Any = None
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_knob("epsilon", self.epsilon, 0)
        check_flag("use_bias", self.use_bias)
        check_flag("use_scale", self.use_scale)
        check_initializer("bias_init", self.bias_init)
        check_initializer("scale_init", self.scale_init)
        check_dtype("dtype", self.dtype, none=True)
        check_dtype("param_dtype", self.param_dtype)
        super().__post_init__()

    def affine(
        self, x: jax.Array, centered: jax.Array, var: jax.Array, axes: tuple[int, ...]
    ) -> jax.Array:
        """Compute γ · centered / √(var + ε) + β, with a γ and β for each entry of some axes.

        The outputs have the layer's `dtype`, or the common dtype of x and the parameters.
        """
        shape = tuple(x.shape[axis] for axis in axes)
        check_held("epsilon", self.epsilon, {"x": var})
        factor = jax.lax.rsqrt(var + jnp.asarray(self.epsilon, var.dtype))
        if self.use_scale:
            scale = self.param("scale", self.scale_init, shape, self.param_dtype)
            factor = factor * along(scale, factor, axes)
        y = centered * factor
        if self.use_bias:
            bias = self.param("bias", self.bias_init, shape, self.param_dtype)
            y = y + along(bias, y, axes)
        return y.astype(self.dtype or jnp.promote_types(x.dtype, self.param_dtype))


def wide(x: jax.Array) -> jax.Array:
    """Return x in float32 or wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def along(values: jax.Array, x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Give an array of some of x's axes the number of axes that x has.

    >>> along(jnp.ones(3), jnp.ones((2, 3, 4)), (1,)).shape
    (1, 3, 1)
    """
    shape = [1] * x.ndim
    for axis, size in zip(axes, values.shape, strict=True):
        shape[axis] = size
    return values.reshape(shape)


def axes_of(name: str, axes: Axes, x: jax.Array) -> tuple[int, ...]:
    """Return axes of x as sorted numbers from 0.

    Raises:
      ValueError: if x lacks one of them, or one is named twice.

    >>> axes_of("axis", -1, jnp.ones((2, 3)))
    (1,)
    """
    try:
        each = [operator.index(a) for a in (axes if isinstance(axes, Sequence) else [axes])]
    except TypeError:
        each = []
    numbers = sorted(axis % x.ndim for axis in each if -x.ndim <= axis < x.ndim)
    if not each or len(set(numbers)) != len(each):
        raise ValueError(f"{name} must be different axes of x, of shape {x.shape}, got {axes!r}")
    return tuple(numbers)


def checked_mask(mask: Any, x: jax.Array) -> jax.Array:
    """Return a mask as Booleans with as many axes as x; refuse one that does not broadcast.

    >>> checked_mask(jnp.array([1, 0, 1]), jnp.ones((2, 3))).shape
    (1, 3)
    """
    mask = numbers("mask", mask)
    shape = (1,) * (x.ndim - mask.ndim) + mask.shape
    if any(size not in (1, full) for size, full in zip(shape, x.shape, strict=False)) or (
        len(shape) != x.ndim
    ):
        raise ValueError(f"mask must broadcast to x, of shape {x.shape}, got shape {mask.shape}")
    return mask.reshape(shape).astype(bool)


def masked_mean(x: jax.Array, axes: tuple[int, ...], mask: jax.Array | None) -> jax.Array:
    """Average over some axes, which are kept, the entries where the mask is true.

    Where it is true nowhere, the mean is 0.
    """
    if mask is None:
        return x.mean(axes, keepdims=True)
    there = jnp.broadcast_to(mask, x.shape)
    count = there.sum(axes, keepdims=True)
    total = jnp.where(there, x, jnp.zeros((), x.dtype)).sum(axes, keepdims=True)
    return total / jnp.maximum(count, 1).astype(x.dtype)
