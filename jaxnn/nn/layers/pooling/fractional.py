r"""Fractional max-pooling: regions of unequal sizes, whose borders are drawn.

Along each axis, N_in entries are divided into N_out regions. Their borders

$$0 = a_0 < a_1 < \dots < a_{N_\text{out}} = N_\text{in}$$

stand ⌊N_in/N_out⌋ or one more apart. So the size of an image can shrink by less than a factor of 2,
and each draw distorts it a little differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_flag, check_text
from jaxnn.keys import as_key
from jaxnn.nn.checks import checked_inputs, numbers
from jaxnn.nn.layers.draws import uniform_bits
from jaxnn.nn.layers.pooling.pool import first_larger

__all__ = ["FractionalMaxPool", "fractional_max_pool"]

Ratio = float | Sequence[float]

_ROOT = math.sqrt(2)  # the paper's; two poolings halve the size


def fractional_max_pool(
    key: Any,
    x: jax.Array,
    ratio: Ratio = _ROOT,
    *,
    overlapping: bool = True,
    pseudo_random: bool = False,
) -> jax.Array:
    r"""Take the largest entry of each region, channel by channel; the regions are drawn.

    With $N_\text{out} = \lfloor N_\text{in} / \text{ratio} \rfloor$ outputs along an axis, output
    i is the maximum over the entries $a_{i-1}, \dots, a_i - 1$, and, if regions overlap, $a_i$.
    All examples and channels of a call share the borders $a$.

    Args:
      key: a key, see `jaxnn.keys.as_key`. None draws nothing, and takes the regions that are
        spread most evenly.
      x: (…, spatial axes, channels): images (n, h, w, channels) for a single ratio, as many
        spatial axes as there are ratios otherwise.
      ratio: size of the inputs over that of the outputs, at least 1; a Python number, since it
        decides shapes. A tuple has one for each of one to three spatial axes.
      overlapping: whether a region contains the first entry of the next one.
      pseudo_random: False shuffles the sizes of the regions. True takes
        $a_i = \lfloor \alpha (i + u) \rfloor - \lfloor \alpha u \rfloor$ with
        $\alpha = N_\text{in}/N_\text{out}$ and one uniform $u$ for each axis, so that sizes
        alternate evenly; the paper prefers it beside augmentation.

    Returns:
      (…, spatial axes, channels) in the dtype of `x`. A region with a NaN gives NaN.

    Raises:
      ValueError: if the shape does not fit, or a ratio is below 1 or leaves no output.

    >>> x = jnp.arange(9.0).reshape(1, 9, 1)
    >>> [fractional_max_pool(key, x, (1.5,))[0, :, 0].tolist() for key in (0, 1)]
    [[1.0, 2.0, 4.0, 5.0, 7.0, 8.0], [1.0, 2.0, 3.0, 5.0, 7.0, 8.0]]

    Source: Graham 2014; lecture N.
    """
    check_flag("overlapping", overlapping)
    check_flag("pseudo_random", pseudo_random)
    x, ratios = numbers("x", x), _ratios(ratio)
    if isinstance(ratio, Sequence):
        fits, axes = x.ndim > len(ratios), f"{len(ratios)} spatial axes and channels"
    else:
        fits, axes = x.ndim == 4, "the axes (n, h, w, channels), or ratio be a tuple"
    if not fits:
        raise ValueError(f"x must have {axes}, got shape {x.shape}")
    first = x.ndim - 1 - len(ratios)
    sizes = x.shape[first:-1]
    outputs = tuple(math.floor(size / part) for size, part in zip(sizes, ratios, strict=True))
    if not min(outputs):
        raise ValueError(f"ratio must leave outputs of the sizes {sizes}, got {ratio}")
    words = None
    if key is not None:
        words = uniform_bits(as_key(key), (len(sizes), 1 if pseudo_random else max(outputs)))
    for axis, (size, count) in enumerate(zip(sizes, outputs, strict=True)):
        borders = _borders(None if words is None else words[axis], size, count, pseudo_random)
        last = jnp.minimum(borders[1:] - (0 if overlapping else 1), size - 1)
        largest = size // count + bool(size % count) + overlapping
        # Entries beyond a region's last are that one again, which changes no maximum.
        parts = [
            jnp.take(x, jnp.minimum(borders[:-1] + place, last), first + axis, mode="clip")
            for place in range(largest)
        ]
        x = reduce(first_larger, parts)
    return x


def _borders(words: jax.Array | None, size: int, count: int, pseudo_random: bool) -> jax.Array:
    """Draw the count + 1 borders of regions, from 0 to size."""
    if words is None or pseudo_random:
        # Only the fraction of N_in u / N_out counts, and of it the N_out steps: all in integers.
        if words is None:
            shift = jnp.asarray(count // 2)
        else:
            shift = ((words[0] >> 16) * np.uint32(count) >> 16).astype(jnp.int32)
        return (size * jnp.arange(count + 1) + shift) // count
    # The regions of larger size are those whose words are the smallest.
    rank = jnp.argsort(jnp.argsort(words[:count]))
    lengths = size // count + (rank < size % count)
    return jnp.concatenate([jnp.zeros(1, lengths.dtype), jnp.cumsum(lengths)])


def _ratios(ratio: Ratio) -> tuple[float, ...]:
    ratios = tuple(ratio) if isinstance(ratio, Sequence) else (ratio, ratio)
    for value in ratios:
        number = isinstance(value, (int, float, np.integer, np.floating))
        if isinstance(value, bool) or not number or not 1 <= value < math.inf:
            ratios = ()
    if not 1 <= len(ratios) <= 3:
        raise ValueError(
            f"ratio must be a Python number of at least 1, or one to three of them, got {ratio!r}"
        )
    return ratios


class FractionalMaxPool(nn.Module):
    """`fractional_max_pool` as a layer that draws its regions in training.

    Evaluation takes the regions that are spread most evenly, so that it is deterministic. (The
    paper averages several draws there: call the layer with `train=True` and several keys.)

    Attributes:
      ratio, overlapping, pseudo_random: see `fractional_max_pool`.
      rng_collection: name of the stream from which training draws.

    >>> FractionalMaxPool().apply({}, jnp.ones((1, 28, 28, 3))).shape
    (1, 19, 19, 3)

    Source: Graham 2014; lecture N.
    """

    ratio: Ratio = _ROOT
    overlapping: bool = True
    pseudo_random: bool = False
    rng_collection: str = "dropout"

    def __post_init__(self) -> None:
        _ratios(self.ratio)
        check_flag("overlapping", self.overlapping)
        check_flag("pseudo_random", self.pseudo_random)
        check_text("rng_collection", self.rng_collection)
        super().__post_init__()

    @checked_inputs()
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        key = self.make_rng(self.rng_collection) if check_flag("train", train) else None
        return fractional_max_pool(
            key, x, self.ratio, overlapping=self.overlapping, pseudo_random=self.pseudo_random
        )
