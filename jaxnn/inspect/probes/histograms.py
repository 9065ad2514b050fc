"""Histograms of activations, gradients and weights, in bins that are fixed beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_flag
from jaxnn.inspect.probes.activations import is_watched
from jaxnn.inspect.probes.leaves import check_pattern, paths_of
from jaxnn.nn.taps import Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import StepTrace

__all__ = ["Histograms"]


class HistogramCounts(NamedTuple):
    """How many values of one layer are in each bin; None where not asked for."""

    values: jax.Array | None  # (bins,)
    gradients: jax.Array | None  # (bins,)


class HistogramsMemory(NamedTuple):
    """Memory of `Histograms`: counts of all steps together."""

    layers: dict[str, HistogramCounts]
    parameters: dict[str, jax.Array]  # path -> (bins,)
    counted: jax.Array  # () bool: whether the weights of this epoch are


@dataclass(frozen=True)
class Histograms:
    r"""Histograms of activations, of the gradients at them, and of weights.

    The bins are symmetric about 0 and one octave wide, so that they are the same for all layers,
    steps and runs. For n = `high` − `low` there are 2n + 1 of them:

    $$b_0 = \{x : |x| < 2^{\mathrm{low}}\}, \qquad
    b_{\pm k} = \{\pm x : 2^{\mathrm{low} + k - 1} \le x < 2^{\mathrm{low} + k}\}$$

    in the order $b_{-n}, \dots, b_n$. The two at the ends also count what is beyond them, infinite
    values and NaN. Recorded per epoch as arrays (2n + 1,) of shares that sum to 1, over all steps
    and all rows that are not padding: "activation/Dense_0/histogram" or, for a layer without
    activation function, "output/Dense_1/histogram"; "activation/Dense_0/gradient_histogram", of
    the gradient of the summed loss of a batch; and "parameter/Dense_0/kernel/histogram", of the
    weights before the first step of the epoch that is measured. Shares are NaN where nothing was
    measured.

    Attributes:
      layers: regular expression, searched for in the paths of layers; "" for all.
      parameters: regular expression, searched for in the paths of parameters; "" for all.
      activations, gradients, weights: which of the three are recorded.
      low, high: integers, low < high; exponents of 2 at which the bins begin and end, from −126
        to 128.
      every: steps from one that is measured to the next.

    Raises:
      TypeError: `layers` or `parameters` is no text, or a flag not True or False.
      ValueError: a text that is no regular expression, exponents out of order or range, or an
        `every` that is no positive integer.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((20, 10)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> data = jaxnn.data.digits(key=0)
    >>> probe = Histograms(every=5)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> shares = run.history.array_series("activation/Dense_0/histogram")[0]
    >>> shares.shape == probe.edges[1:].shape, bool(abs(shares.sum() - 1) < 1e-5)
    (True, True)

    Source: lectures C and S on distributions of activations and gradients, layer by layer.
    """

    layers: str = ""
    parameters: str = ""
    activations: bool = True
    gradients: bool = True
    weights: bool = True
    low: int = -30
    high: int = 10
    every: int = 1

    def __post_init__(self) -> None:
        for name in ("layers", "parameters"):
            check_pattern(name, getattr(self, name), self.every)
        for name in ("activations", "gradients", "weights"):
            check_flag(name, getattr(self, name))
        ends = self.low, self.high
        whole = all(isinstance(end, int | np.integer) and not isinstance(end, bool) for end in ends)
        if not whole or not -126 <= self.low < self.high <= 128:
            raise ValueError(
                "low and high must be integers with -126 <= low < high <= 128, got "
                f"{self.low!r} and {self.high!r}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """See `jaxnn.train.Probe`."""
        taps = ("taps",) if self.activations or self.gradients else ()
        return (*taps, "params") if self.weights else taps

    @property
    def edges(self) -> np.ndarray:
        """The edges of the bins, (2n + 2,), from −∞ to ∞; the lower one is part of a bin above 0.

        >>> Histograms(low=-1, high=1).edges
        array([-inf, -1. , -0.5,  0.5,  1. ,  inf])
        """
        inner = 2.0 ** np.arange(self.low, self.high)
        return np.concatenate([[-np.inf], -inner[::-1], inner, [np.inf]])

    def reduce(self, tap: Tap) -> HistogramCounts | None:
        if not is_watched(tap, self.layers):
            return None
        return HistogramCounts(
            self._counts(tap.x, tap.real) if self.activations else None,
            self._counts(tap.gradient, tap.real) if self.gradients else None,
        )

    def init(self, state: TrainState, shapes: StepTrace) -> HistogramsMemory:
        del state
        bins = jnp.zeros(len(self.edges) - 1, jnp.float32)
        return HistogramsMemory(
            jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes.taps or {}),
            dict.fromkeys(paths_of(shapes.params, self.parameters), bins),
            jnp.zeros((), bool),
        )

    def update(self, memory: HistogramsMemory, trace: StepTrace) -> HistogramsMemory:
        # NaN says that a layer had no part in this step.
        layers = jax.tree.map(
            lambda sum_, new: sum_ + jnp.where(jnp.isnan(new), 0, new),
            memory.layers,
            trace.taps or {},
        )
        leaves = paths_of(trace.params, self.parameters)

        def count(_: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
            return jnp.ones((), bool), {path: self._counts(x) for path, x in leaves.items()}

        # Weights move slowly, and are many. A loop of at most one turn counts them once: a
        # conditional would take both ways under `vmap`.
        counted, parameters = jax.lax.while_loop(
            lambda carry: ~carry[0], count, (memory.counted, memory.parameters)
        )
        return HistogramsMemory(layers, parameters, counted)

    def summarize(self, memory: HistogramsMemory) -> dict[str, jax.Array]:
        found = {f"parameter/{path}/histogram": of for path, of in memory.parameters.items()}
        for path, counts in memory.layers.items():
            if counts.values is not None:
                found[f"{path}/histogram"] = counts.values
            if counts.gradients is not None:
                found[f"{path}/gradient_histogram"] = counts.gradients
        return {name: counts / counts.sum() for name, counts in found.items()}

    def _counts(self, x: jax.Array, real: jax.Array | None = None) -> jax.Array:
        """How many values are in each bin, (bins,) float32; `real` says which ones count."""
        bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32).ravel(), jnp.uint32)
        # Sign and exponent of float32 are its first 9 bits. What does not count goes elsewhere.
        place = bits >> 23
        if real is not None:
            place = jnp.where(real.ravel(), place, 512)
        counts = jnp.zeros(513, jnp.float32).at[place].add(1, mode="promise_in_bounds")
        positive, negative = counts[:256], counts[256:512]
        # The exponent has 127 added; all numbers below the normal ones have 0 in its place.
        first, last = 127 + self.low, 127 + self.high - 1

        def side(counts: jax.Array) -> jax.Array:
            return jnp.append(counts[first:last], counts[last:].sum())

        middle = positive[:first].sum() + negative[:first].sum()
        return jnp.concatenate([side(negative)[::-1], middle[None], side(positive)])
