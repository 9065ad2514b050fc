"""What probes ask of the taps of a model: found by a trace, summed by the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.nn.taps import Bounds, Listener, Tap, summed
from jaxnn.tree import path_name

__all__ = ["Found", "Reduce", "Sink", "make_sinks", "measuring", "of_each_probe"]

Reduce = Callable[[Tap], Any]
"""`tap -> pytree of sums`, or None for a tap that is not wanted."""

_Place = tuple[str, str]  # site, path


class Sink(NamedTuple):
    """The zeros whose gradient is what was summed at one place, or those sums."""

    calls: jax.Array  # () how often the backward pass came by
    sums: tuple[Any, ...]  # of each probe; None where it does not want this tap


class Found:
    """A listener that notes down which taps there are, and their shapes."""

    def __init__(self) -> None:
        self.places: dict[_Place, list[jax.ShapeDtypeStruct]] = {}
        self.bounds: dict[_Place, Bounds | None] = {}

    def __call__(self, site: str, path: str, x: jax.Array, bounds: Bounds | None) -> jax.Array:
        """Note down one more tap."""
        # Of several calls of one layer none may differ, or none is known.
        alike = self.bounds.setdefault((site, path), bounds) == bounds
        self.bounds[site, path] = bounds if alike else None
        wide = jnp.promote_types(x.dtype, jnp.float32)
        shapes = self.places.setdefault((site, path), [])
        shapes.append(jax.ShapeDtypeStruct(jnp.shape(x), wide))
        return x

    def sites_of(self, path: str) -> tuple[str, ...]:
        """The sites of all taps at a path, in alphabetical order."""
        return tuple(sorted(site for site, at in self.places if at == path))


def make_sinks(found: Found, reduces: Sequence[Reduce | None]) -> dict[str, Sink]:
    """Zeros like the sums of every tap that a probe wants, by "site/path".

    Args:
      found: after a trace of the model.
      reduces: of each probe; None for a probe that needs no taps.

    Raises:
      TypeError: sums that are no numbers.
      ValueError: sums whose shapes differ between two calls of one layer.
    """
    sinks = {}
    for (site, path), shapes in found.places.items():
        reduce = _reduction(found, reduces, site, path)
        name = f"{site}/{path}"
        sums = [jax.eval_shape(reduce, x, x, jax.ShapeDtypeStruct(x.shape, bool)) for x in shapes]
        for other in sums[1:]:
            if other != sums[0]:
                raise ValueError(
                    f"reduce must give sums of one structure and shape for all calls of {name}, "
                    f"got {sums[0].sums} and {other.sums}"
                )
        if jax.tree.leaves(sums[0].sums):
            sinks[name] = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), sums[0])
    return sinks


def measuring(
    found: Found,
    reduces: Sequence[Reduce | None],
    sinks: Mapping[str, Sink],
    weight: jax.Array | None,
    scale: jax.Array | float,
) -> Listener:
    """A listener that sums up into the sinks.

    Args:
      found: which taps there are.
      reduces: of each probe.
      sinks: from `make_sinks`; taps without one are left alone.
      weight: of the rows of the (micro-)batch, (n,) or (n, tokens); None: all are real.
      scale: turns a cotangent into the gradient of the summed loss.
    """

    def listen(site: str, path: str, x: jax.Array, bounds: Bounds | None) -> jax.Array:
        del bounds  # as found
        sink = sinks.get(f"{site}/{path}")
        if sink is None:
            return x
        return summed(_reduction(found, reduces, site, path), x, sink, _real(x, weight), scale)

    return listen


def of_each_probe(sinks: Mapping[str, Sink], probes: int) -> tuple[dict[str, Any], ...]:
    """The sums for each probe by "site/path"; NaN where no backward pass came by.

    A tap whose value has no gradient, such as one below a `stop_gradient`, is not measured, and
    its sums would be zeros that nobody has seen.
    """

    def seen(sink: Sink, leaf: jax.Array) -> jax.Array:
        return jnp.where(sink.calls > 0, leaf, jnp.nan)

    return tuple(
        {
            name: jax.tree.map(partial(seen, sink), sink.sums[probe])
            for name, sink in sinks.items()
            if sink.sums[probe] is not None
        }
        for probe in range(probes)
    )


def _reduction(
    found: Found, reduces: Sequence[Reduce | None], site: str, path: str
) -> Callable[[jax.Array, jax.Array, jax.Array], Sink]:
    sites = found.sites_of(path)

    def reduce(x: jax.Array, gradient: jax.Array, real: jax.Array) -> Sink:
        tap = Tap(site, path, sites, x, gradient, real, found.bounds[site, path])
        sums = (None if of_probe is None else of_probe(tap) for of_probe in reduces)
        named = partial(_as_float, f"{site}/{path}")
        return Sink(jnp.ones((), jnp.float32), jax.tree_util.tree_map_with_path(named, tuple(sums)))

    return reduce


def _as_float(name: str, path: Any, leaf: Any) -> jax.Array:
    dtype = jnp.result_type(leaf)
    if not (jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)):
        raise TypeError(f"reduce must return numbers, got {dtype} at {path_name(path)} of {name}")
    return jnp.asarray(leaf, jnp.promote_types(dtype, jnp.float32))


def _real(x: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Which entries of `x` belong to rows of positive weight."""
    if weight is None or x.shape[:1] != weight.shape[:1]:
        return jnp.ones(x.shape, bool)
    real = weight > 0
    if x.shape[: real.ndim] != real.shape:  # not token by token: a row counts if a token does
        real = real.any(axis=tuple(range(1, real.ndim)))
    real = real.reshape(real.shape + (1,) * (x.ndim - real.ndim))
    return jnp.broadcast_to(real, x.shape)
