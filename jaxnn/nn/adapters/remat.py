"""Rematerialization: less memory for activations, which the backward pass computes again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core

from jaxnn.nn.taps import belongs_to_tap, is_listening, listening

__all__ = ["rematerialized"]


def rematerialized(function: Callable[..., Any]) -> Callable[..., Any]:
    r"""Transform a function so that it keeps less memory for its gradient.

    Reverse mode keeps what each of the $n$ operations of a function computes. Here the operations
    are cut into about $\sqrt n$ stretches. Only what one stretch hands to the next is kept, and
    a stretch is computed again in the backward pass. For one more forward pass the memory of a
    network of $L$ layers grows with $\sqrt L$. `jax.checkpoint` around the whole function would
    compute all of it again at once, and so need the memory then.

    On CPU this takes effect with jaxlib 0.12: in
    `python -m experiments.benchmarks.alone.remat_memory` the temporary memory of ResNet-20 falls
    from 162 to 82 MB, where `jax.checkpoint` around the whole saves nothing. Up to jaxlib 0.10,
    XLA for CPU removes the second computation, and nothing is saved.

    Args:
      function: pytrees of arrays -> pytree of arrays.

    Returns:
      A function of the same values, also under `jit`, `vmap` and `grad`.

    >>> import jax.numpy as jnp
    >>> float(jax.grad(rematerialized(lambda x: jnp.sin(jnp.sin(x))))(0.0))
    1.0

    Source: Chen et al. 2016.
    """

    def run(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        jaxpr = closed.jaxpr
        cuts = _cuts(jaxpr)
        if is_listening():
            # Cut where it is cut without taps, or a probe would change the training's bits.
            with listening(None):
                cuts = _behind(_cuts(jax.make_jaxpr(function)(*args).jaxpr), jaxpr)
        values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        values |= zip(jaxpr.invars, jax.tree.leaves(args), strict=True)
        for part in _stretches(jaxpr, cuts):
            stretch = jax.checkpoint(core.jaxpr_as_fun(core.ClosedJaxpr(part, ())))
            results = stretch(*(values[var] for var in part.invars))
            values |= zip(part.outvars, results, strict=True)
        outputs = [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return run


def _stretches(jaxpr: core.Jaxpr, cuts: list[int]) -> Iterator[core.Jaxpr]:
    start = 0
    for stop in cuts:
        eqns = jaxpr.eqns[start:stop]
        made = dict.fromkeys(var for eqn in eqns for var in eqn.outvars)
        asked = dict.fromkeys(var for eqn in eqns for var in _read(eqn.invars))
        later = {var for eqn in jaxpr.eqns[stop:] for var in _read(eqn.invars)}
        later |= set(_read(jaxpr.outvars))
        yield core.Jaxpr(
            (),
            [var for var in asked if var not in made],
            [var for var in made if var in later],
            eqns,
            frozenset().union(*(eqn.effects for eqn in eqns)),
            # The whole's names of arguments and results are not the stretch's.
            jaxpr.debug_info._replace(arg_names=None, result_paths=None),
        )
        start = stop


def _cuts(jaxpr: core.Jaxpr) -> list[int]:
    """Where stretches end: of about √n places each, that at which the least is handed on."""
    count = len(jaxpr.eqns)
    last = {var: at for at, eqn in enumerate(jaxpr.eqns) for var in _read(eqn.invars)}
    last |= dict.fromkeys(_read(jaxpr.outvars), count)
    kept = [0] * (count + 1)  # bytes that are handed on by a cut before equation i
    for at, eqn in enumerate(jaxpr.eqns):
        for var in eqn.outvars:
            for cut in range(at + 1, last.get(var, at) + 1):
                kept[cut] += _bytes(var)
    length = max(math.isqrt(count), 1)
    places = [range(at, min(at + length, count)) for at in range(length, count, length)]
    return [*(min(of, key=lambda cut: kept[cut]) for of in places), count] if count else []


def _behind(cuts: list[int], jaxpr: core.Jaxpr) -> list[int]:
    """The places of cuts, given without the equations of taps, in a jaxpr that has them."""
    places = [at for at, eqn in enumerate(jaxpr.eqns) if not belongs_to_tap(eqn)]
    return [places[cut] if cut < len(places) else len(jaxpr.eqns) for cut in cuts]


def _read(variables: Any) -> Iterator[Any]:
    return (var for var in variables if not isinstance(var, core.Literal))


def _bytes(var: Any) -> int:
    aval = var.aval
    return math.prod(aval.shape) * aval.dtype.itemsize if hasattr(aval, "shape") else 0
