r"""Normalization layers: zero mean and unit variance over a set of entries, then an affine map.

$$y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta$$

The layers differ in the set over which μ and σ² are taken: the rows of the batch (and the
pixels), the features of an example, or groups of channels. The variance is the biased one, ÷N. It
is computed in a second pass, since E[x²] − E[x]² loses digits where the mean is large. Statistics
are computed in float32 or wider.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_knob, check_positive_int, is_concrete
from jaxnn.nn.axis import axis_name

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]


class _Normalization(nn.Module, kw_only=True):
    """The arguments and the affine map that all normalizations share."""

    epsilon: float | jax.Array
    use_bias: bool = True
    use_scale: bool = True
    param_dtype: Any = float

    def __post_init__(self) -> None:
        check_knob("epsilon", self.epsilon, 0)
        super().__post_init__()

    def affine(self, x: jax.Array, centered: jax.Array, var: jax.Array) -> jax.Array:
        """Compute γ · centered / √(var + ε) + β, in the common dtype of x and the parameters."""
        factor = jax.lax.rsqrt(var + jnp.asarray(self.epsilon, var.dtype))
        if self.use_scale:
            scale = self.param("scale", nn.initializers.ones, x.shape[-1:], self.param_dtype)
            factor = factor * _along_last(scale, factor)
        y = centered * factor
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, x.shape[-1:], self.param_dtype)
            y = y + _along_last(bias, y)
        return y.astype(jnp.promote_types(x.dtype, self.param_dtype))


class BatchNorm(_Normalization):
    r"""Batch normalization: normalize each feature over the rows of the batch and the pixels.

    Training normalizes by the statistics s of the batch, and updates the running statistics r by

    $$r \leftarrow m\, r + (1 - m)\, s.$$

    Evaluation normalizes by the running statistics. Rows of weight 0, such as the padding of a
    ragged batch, are left out of the statistics. Over several devices the statistics are those of
    the global batch: under `jit`, under the `pmap` of `jaxnn.fit`, and under your own `pmap`
    where `axis_name` is given. Parameters and statistics have Flax's names and shapes
    ("params": scale, bias; "batch_stats": mean, var).

    Attributes:
      momentum: m, in [0, 1): the share of the running statistics that a step keeps, as in
        Flax and Keras. PyTorch's momentum is 1 − m. A float or a traced scalar.
      epsilon: added to the variance, at least 0; a float or a traced scalar.
      unbiased: whether the running variance is N/(N − 1) times that of the batch, as in PyTorch.
        In Flax and Keras it is the biased one, which normalizes the batch in either case.
      use_bias, use_scale: whether the layer has β and γ.
      axis_name: name of the device axis, where the layer runs under your own `pmap`.
      param_dtype: dtype of β, γ and the running statistics.

    Inputs of shape (n, …, features) give outputs of that shape. `weight`, whose shape is (n,) or
    more of the leading axes, tells which rows (or tokens) count: those with a weight above 0.

    Raises:
      ValueError: if a training batch has fewer than two rows. Where the weights are traced, a
        single row gives NaN, and no row at all leaves the running statistics as they are and
        normalizes by them.

    >>> layer = BatchNorm()
    >>> x = jnp.array([[0.0], [2.0]])
    >>> variables = layer.init(jax.random.key(0), x)
    >>> y, updated = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    >>> y[:, 0], updated["batch_stats"]["mean"]
    (Array([-0.999995,  0.999995], dtype=float32), Array([0.01], dtype=float32))

    Source: Ioffe and Szegedy 2015; lecture C.
    """

    epsilon: float | jax.Array = 1e-5
    momentum: float | jax.Array = 0.99
    unbiased: bool = False
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_knob("momentum", self.momentum, 0, 1, high_open=True)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool = False, weight: jax.Array | None = None
    ) -> jax.Array:
        x, zeros, ones = jnp.asarray(x), nn.initializers.zeros, nn.initializers.ones
        features, dtype = x.shape[-1:], self.param_dtype
        running = (
            self.variable("batch_stats", "mean", zeros, None, features, dtype),
            self.variable("batch_stats", "var", ones, None, features, dtype),
        )
        mean, var = (_wide(statistic.value) for statistic in running)
        if train and not self.is_initializing():
            there = jnp.ones(x.shape[:1], bool) if weight is None else _checked(weight, x) > 0
            mask = there.reshape(there.shape + (1,) * (x.ndim - there.ndim))
            if weight is not None:  # padding may hold any value, even NaN
                x = jnp.where(mask, x, jnp.zeros((), x.dtype))
            count, of_batch = self._statistics(x, there, mask, padded=weight is not None)
            # A batch may be padding alone; then the running statistics serve instead.
            some = count > 0
            self._move(running, some, count, of_batch)
            mean, var = jnp.where(some, of_batch[0], mean), jnp.where(some, of_batch[1], var)
        return self.affine(x, _wide(x) - _along_last(mean, x), _along_last(var, x))

    def _statistics(
        self, x: jax.Array, there: jax.Array, mask: jax.Array, *, padded: bool
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Count the entries of each feature, and compute their mean and variance."""
        in_any = there.reshape(len(there), -1).any(1).sum() if padded else len(there)
        rows = self._over_devices(in_any)
        if is_concrete(rows) and int(rows) < 2:
            raise ValueError(
                "batch normalization needs at least two rows in training, since a single one has "
                f"no variance, got x of shape {x.shape}"
                + (f" with {int(rows)} of weight above 0" if padded else "")
            )
        wide, axes = _wide(x), tuple(range(x.ndim - 1))
        pixels = math.prod(x.shape[there.ndim : -1])  # entries of a feature for each of `there`
        count = self._over_devices(jnp.sum(there, dtype=wide.dtype) * pixels)
        # A compiled program cannot raise, so a single row gives NaN instead of zeros.
        divisor = jnp.where(rows == 1, jnp.nan, jnp.maximum(count, 1))
        mean = self._over_devices(wide.sum(axes)) / divisor
        squares = jnp.square(wide - _along_last(mean, x))
        if padded:
            squares = jnp.where(mask, squares, 0)
        return count, (mean, self._over_devices(squares.sum(axes)) / divisor)

    def _move(
        self, running: tuple[Any, Any], some: jax.Array, count: jax.Array, of_batch: Any
    ) -> None:
        """Update the running statistics by those of the batch."""
        mean, var = of_batch
        if self.unbiased:
            var = var * jnp.where(count > 1, count / jnp.maximum(count - 1, 1), 1)
        for statistic, new in zip(running, (mean, var), strict=True):
            keep = jnp.asarray(self.momentum, new.dtype)
            gain = jnp.asarray(1 - self.momentum, new.dtype)  # a float m near 1 keeps its digits
            moved = keep * _wide(statistic.value) + gain * new
            statistic.value = jnp.where(some, moved, statistic.value).astype(statistic.value.dtype)

    def _over_devices(self, total: Any) -> Any:
        axis = self.axis_name or axis_name()
        return total if axis is None else jax.lax.psum(total, axis)


class LayerNorm(_Normalization):
    """Layer normalization: normalize each example (or token) over its features.

    Attributes:
      epsilon: added to the variance, at least 0; a float or a traced scalar. The default is
        1e-6 as in Flax; PyTorch has 1e-5, Keras 1e-3.
      use_bias, use_scale: whether the layer has β and γ.
      param_dtype: dtype of β and γ.

    Inputs of shape (…, features) give outputs of that shape.

    >>> layer = LayerNorm(use_scale=False, use_bias=False)
    >>> layer.apply({}, jnp.array([[1.0, 3.0]]))
    Array([[-0.9999995,  0.9999995]], dtype=float32)

    Source: Ba et al. 2016.
    """

    epsilon: float | jax.Array = 1e-6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = jnp.asarray(x)
        centered = _wide(x) - _wide(x).mean(-1, keepdims=True)
        return self.affine(x, centered, jnp.square(centered).mean(-1, keepdims=True))


class GroupNorm(_Normalization):
    """Group normalization: normalize groups of channels of each example, over its pixels.

    Attributes:
      num_groups: number of groups of channels. 1 normalizes all channels of an example
        together; as many groups as channels is instance normalization.
      epsilon: added to the variance, at least 0; a float or a traced scalar.
      use_bias, use_scale: whether the layer has β and γ, one per channel.
      param_dtype: dtype of β and γ.

    Inputs of shape (n, …, channels) give outputs of that shape.

    Raises:
      ValueError: if the number of groups does not divide the number of channels.

    >>> layer = GroupNorm(num_groups=2, use_scale=False, use_bias=False)
    >>> layer.apply({}, jnp.array([[1.0, 3.0, 10.0, 10.0]])).round(3)
    Array([[-1.,  1.,  0.,  0.]], dtype=float32)

    Source: Wu and He 2018.
    """

    epsilon: float | jax.Array = 1e-6
    num_groups: int = 8

    def __post_init__(self) -> None:
        check_positive_int("num_groups", self.num_groups)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = jnp.asarray(x)
        channels = x.shape[-1]
        if channels % self.num_groups:
            raise ValueError(
                f"num_groups must divide the {channels} channels of x, got {self.num_groups}"
            )
        apart = (x.shape[0], -1, self.num_groups, channels // self.num_groups)
        groups = _wide(x).reshape(apart)
        centered = groups - groups.mean((1, 3), keepdims=True)
        var = jnp.square(centered).mean((1, 3))  # (n, groups)
        var = jnp.repeat(var, apart[-1], axis=1).reshape(x.shape[0], *(1,) * (x.ndim - 2), channels)
        return self.affine(x, centered.reshape(x.shape), var)


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _along_last(per_feature: jax.Array, x: jax.Array) -> jax.Array:
    return per_feature.reshape((1,) * (x.ndim - 1) + (-1,))


def _checked(weight: jax.Array, x: jax.Array) -> jax.Array:
    if x.shape[: weight.ndim] != weight.shape or weight.ndim >= x.ndim:
        raise ValueError(
            f"weight must have the leading axes of x, {x.shape}, got shape {weight.shape}"
        )
    return weight
