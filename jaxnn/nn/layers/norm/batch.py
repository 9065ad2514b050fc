r"""Batch normalization; `jaxnn.nn.layers.norm.affine` says what it shares with its relatives."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxnn.arguments import check_flag, check_knob, check_text, is_concrete
from jaxnn.nn.axis import axis_name
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.initializers.basic import constant, zeros
from jaxnn.nn.layers.norm.affine import Axes, Normalization, along, axes_of, checked_mask, wide

__all__ = ["BatchNorm"]


class BatchNorm(Normalization):
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
      axis: the axis of the features, or several of them. Statistics are taken over all others,
        and β and γ have an entry for each feature.
      use_bias, use_scale: whether the layer has β and γ.
      bias_init, scale_init: their initializers; they start at 0 and 1.
      axis_name: name of the device axis, where the layer runs under your own `pmap`.
      dtype: dtype of the outputs; None means the common dtype of inputs and parameters.
      param_dtype: dtype of β, γ and the running statistics.

    Inputs of shape (n, …, features) give outputs of that shape. `weight`, whose shape is (n,) or
    more of the leading axes, tells which rows (or tokens) count: those with a weight above 0.
    `mask`, Boolean and of a shape that broadcasts to the inputs, tells which entries count. All
    are normalized.

    A bias before this layer has no effect and a gradient of 0, since the layer subtracts the mean:
    give the layer before it `use_bias=False`, as the models of jaxnn do.

    Raises:
      ValueError: if a training batch has fewer than two rows. Where the weights or the mask are
        traced, a single row gives NaN, and no row at all leaves the running statistics as they
        are and normalizes by them.

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
    axis: Axes = -1
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_knob("momentum", self.momentum, 0, 1, high_open=True)
        check_flag("unbiased", self.unbiased)
        if self.axis_name is not None:
            check_text("axis_name", self.axis_name)
        super().__post_init__()

    @nn.compact
    @checked_inputs()
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool = False,
        weight: jax.Array | None = None,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        check_flag("train", train)
        axes, dtype = axes_of("axis", self.axis, x), self.param_dtype
        shape = tuple(x.shape[axis] for axis in axes)
        running = (
            self.variable("batch_stats", "mean", zeros(), None, shape, dtype),
            self.variable("batch_stats", "var", constant(1.0), None, shape, dtype),
        )
        mean, var = (wide(statistic.value) for statistic in running)
        if train and not self.is_initializing():
            counts = _counts(x, weight, mask)
            if counts is not None:  # padding may hold any value, even NaN
                x = jnp.where(counts, x, jnp.zeros((), x.dtype))
            count, of_batch = self._statistics(x, counts, axes)
            # A batch may be padding alone; then the running statistics serve instead.
            some = count > 0
            self._move(running, some, count, of_batch)
            mean, var = jnp.where(some, of_batch[0], mean), jnp.where(some, of_batch[1], var)
        return self.affine(x, wide(x) - along(mean, x, axes), along(var, x, axes), axes)

    def _statistics(
        self, x: jax.Array, counts: jax.Array | None, axes: tuple[int, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Count the entries of each feature, and compute their mean and variance."""
        others = tuple(axis for axis in range(x.ndim) if axis not in axes)
        if not others:
            raise ValueError(
                f"axis must leave axes of x to normalize over, got {self.axis} for shape {x.shape}"
            )
        rows_axis, entries = others[0], wide(x)
        size = math.prod(x.shape[axis] for axis in others)
        if counts is None:
            in_any, number = x.shape[rows_axis], jnp.asarray(size, entries.dtype)
        else:
            within = tuple(axis for axis in range(x.ndim) if axis != rows_axis)
            in_any = counts.any(within).sum() * (x.shape[rows_axis] // counts.shape[rows_axis])
            # Along axes of size 1 the Booleans stand for as many entries as x has there.
            each = size // math.prod(counts.shape[axis] for axis in others)
            number = jnp.sum(counts, others, dtype=entries.dtype) * each
        rows = self._over_devices(in_any)
        if is_concrete(rows) and int(rows) < 2:
            raise ValueError(
                "batch normalization needs at least two rows in training, since a single one has "
                f"no variance, got x of shape {x.shape}"
                + ("" if counts is None else f" with {int(rows)} of weight above 0")
            )
        count = self._over_devices(number)
        # A compiled program cannot raise, so a single row gives NaN instead of zeros.
        divisor = jnp.where(rows == 1, jnp.nan, jnp.maximum(count, 1))
        mean = self._over_devices(entries.sum(others)) / divisor
        squares = jnp.square(entries - along(mean, x, axes))
        if counts is not None:
            squares = jnp.where(counts, squares, 0)
        return count, (mean, self._over_devices(squares.sum(others)) / divisor)

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
            moved = keep * wide(statistic.value) + gain * new
            statistic.value = jnp.where(some, moved, statistic.value).astype(statistic.value.dtype)

    def _over_devices(self, total: Any) -> Any:
        axis = self.axis_name or axis_name()
        return total if axis is None else jax.lax.psum(total, axis)


def _counts(x: jax.Array, weight: jax.Array | None, mask: jax.Array | None) -> jax.Array | None:
    """Say which entries count, by Booleans with as many axes as x; None: all of them."""
    counts = None
    if weight is not None:
        weight = numbers("weight", weight, axes=1)
        if x.shape[: weight.ndim] != weight.shape or weight.ndim >= x.ndim:
            raise ValueError(
                f"weight must have the leading axes of x, {x.shape}, got shape {weight.shape}"
            )
        counts = (weight > 0).reshape(weight.shape + (1,) * (x.ndim - weight.ndim))
    if mask is not None:
        of_mask = checked_mask(mask, x)
        counts = of_mask if counts is None else counts & of_mask
    return counts
