"""Derivatives of a function by differences, and how they compare with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.gradient.float64 import float64_on_cpu, narrowed_on_the_way, widened
from jaxnn.inspect.checks.subject import NotJudged
from jaxnn.tree import path_name

__all__ = ["Compared", "compare"]

Function = Callable[[Any], jax.Array]


@dataclass(frozen=True)
class Compared:
    """How the gradient of a function compares with differences.

    Attributes:
      errors: for each parameter by its path the relative error of the gradient,
        ‖numeric − g‖ / max(‖numeric‖, ‖g‖) over the sampled coordinates that are at no kink.
      one_sided: the same error of the one-sided difference.
      wrong: for each parameter the number of coordinates whose derivative is wrong.
      kinks: the number of coordinates at a kink or beside one.
      coordinates: how many were looked at.
      value: of the function.
      decrease: what a tiny step along −g takes off the function, by what the tangent promises;
        near 1. NaN where the gradient is 0.
    """

    errors: dict[str, float]
    one_sided: dict[str, float]
    wrong: dict[str, int]
    kinks: int
    coordinates: int
    value: float
    decrease: float


def compare(
    function: Function, params: Any, rng: np.random.Generator, gradient: Function | None = None
) -> Compared:
    """Compare a gradient with central differences, in float64 on the CPU.

    Args:
      function: `params -> scalar`, without randomness.
      params: pytree of arrays; those that are not floating-point stay as they are.
      rng: chooses the coordinates; half of them are those of the largest gradient.
      gradient: `params -> gradient`. None: `jax.grad(function)`.

    Raises:
      NotJudged: complex parameters, none at all, a value that is not finite, or a function
        that computes in fewer bits on the way.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if any(jnp.issubdtype(jnp.result_type(leaf), jnp.complexfloating) for _, leaf in leaves):
        raise NotJudged("the parameters are complex, and differences are taken of real ones")
    with float64_on_cpu():
        params = widened(params)
        moving, rebuild = _floating(params)
        flat, unravel = ravel_pytree(moving)
        if not flat.size:
            raise NotJudged("there are no floating-point parameters")

        def value(point: jax.Array) -> jax.Array:
            return jnp.asarray(function(rebuild(unravel(point))))

        traced = jax.make_jaxpr(value)(flat)
        (found,) = traced.out_avals
        if found.shape != () or not jnp.issubdtype(found.dtype, jnp.floating):
            raise NotJudged(f"the function must return one real number, got {found}")
        narrow = str(found.dtype) if found.dtype != np.float64 else narrowed_on_the_way(traced)
        if narrow:
            raise NotJudged(
                f"the function computes in {narrow} on the way, in which differences drown in "
                "rounding; leave dtype to the model"
            )
        of = gradient or jax.grad(function, allow_int=True)
        slope = compiled(lambda point: ravel_pytree(_floating(of(rebuild(unravel(point))))[0])[0])
        g = np.asarray(slope(flat), np.float64)
        return _compared(compiled(partial(_values, value)), np.asarray(flat), g, moving, rng)


def _floating(tree: Any) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """The floating-point leaves of a tree by path, and the function that puts them back."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    structure = jax.tree.structure(tree)
    names = [path_name(path) or "parameters" for path, _ in leaves]
    moving = {
        name: jnp.asarray(leaf)
        for name, (_, leaf) in zip(names, leaves, strict=True)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    }

    def rebuild(new: dict[str, Any]) -> Any:
        pairs = zip(names, leaves, strict=True)
        return structure.unflatten([new.get(name, leaf) for name, (_, leaf) in pairs])

    return moving, rebuild


def _values(
    value: Function, flat: jax.Array, where: jax.Array, steps: jax.Array, count: jax.Array
) -> jax.Array:
    """Compute the first `count` values with one coordinate moved each."""

    def one(i: jax.Array, values: jax.Array) -> jax.Array:
        return values.at[i].set(value(flat.at[where[i]].add(steps[i])))

    return jax.lax.fori_loop(0, count, one, jnp.zeros(len(where)))


def _compared(
    values: Callable[..., Any],
    flat: np.ndarray,
    g: np.ndarray,
    moving: dict[str, Any],
    rng: np.random.Generator,
) -> Compared:
    names, where, scale = _coordinates(moving, flat, g, rng)
    n, h = len(where), thresholds.STEP * scale

    def both(chosen: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values behind and before some coordinates."""
        k = len(chosen)
        at, steps = np.zeros(2 * n, np.int32), np.zeros(2 * n)
        at[: 2 * k], steps[: 2 * k] = np.tile(where[chosen], 2), np.concatenate([step, -step])
        found = np.asarray(values(flat, at, steps, 2 * k))
        return found[:k], found[k : 2 * k]

    f = float(both(np.zeros(1, int), np.zeros(1))[0][0])
    if not np.isfinite(f) or not np.isfinite(g).all():
        raise NotJudged("the value or the gradient is not finite")
    up, down = both(np.arange(n), h)
    numeric, analytic = (up - down) / (2 * h), g[where]
    rounding = thresholds.ROUNDING * np.finfo(np.float64).eps * max(abs(f), 1e-3)
    wrong, kink = ~_near(numeric, analytic, rounding / h), np.zeros(n, bool)
    if wrong.any():
        # The jump of a kink stays as the step shrinks; curvature shrinks with it.
        wide = (np.abs(up - 2 * f + down) / h)[wrong]
        kink[wrong] = _at_kink(both, np.flatnonzero(wrong), h[wrong], analytic[wrong], f, wide)
        wrong &= ~kink
    one_sided, labels = (up - f) / h, np.asarray(names)
    errors, worse, count = {}, {}, {}
    for name in dict.fromkeys(names):
        own = (labels == name) & ~kink
        noise = rounding / thresholds.ROUNDING / h[own]
        errors[name] = _error(numeric[own], analytic[own], noise)
        worse[name] = _error(one_sided[own], analytic[own], noise)
        count[name] = int((wrong & (labels == name)).sum())
    size, decrease = float(g @ g), float("nan")
    if size > 0:
        length = thresholds.DECREASE * max(abs(f), 1e-3) / size
        nowhere = np.zeros(2 * n, np.int32), np.zeros(2 * n), 1
        decrease = (f - float(values(flat - length * g, *nowhere)[0])) / (length * size)
    return Compared(errors, worse, count, int(kink.sum()), n, f, decrease)


def _at_kink(
    both: Callable[..., Any],
    chosen: np.ndarray,
    h: np.ndarray,
    analytic: np.ndarray,
    f: float,
    wide: np.ndarray,
) -> np.ndarray:
    """Whether a smaller step agrees with a gradient, or shows that it is one of a kink's."""
    fine = h / thresholds.FINE
    rounding = thresholds.ROUNDING * np.finfo(np.float64).eps * max(abs(f), 1e-3) / fine
    up, down = both(chosen, fine)
    closer = _near((up - down) / (2 * fine), analytic, rounding)
    right, left = (up - f) / fine, (f - down) / fine
    slack = thresholds.GRADIENT_ERROR * np.abs(analytic) + rounding
    between = (np.minimum(left, right) - slack <= analytic) & (
        analytic <= np.maximum(left, right) + slack
    )
    stays = np.abs(right - left) > np.maximum(0.1 * wide, 10 * rounding)
    return closer | (between & stays)


def _coordinates(
    moving: dict[str, Any], flat: np.ndarray, g: np.ndarray, rng: np.random.Generator
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Choose coordinates of every parameter, with its name and its scale for each."""
    names: list[str] = []
    where: list[int] = []
    scales: list[float] = []
    start = 0
    # `ravel_pytree` has the leaves of a dict in the order of their sorted names.
    for name, leaf in sorted(moving.items()):
        size = int(np.size(leaf))
        largest = np.argsort(-np.abs(g[start : start + size]), kind="stable")
        largest = largest[: thresholds.COORDINATES // 2]
        others = np.setdiff1d(np.arange(size), largest)
        chosen = rng.permutation(others)[: thresholds.COORDINATES - len(largest)]
        picked = np.concatenate([largest, chosen]).astype(int)
        root = float(np.sqrt(np.mean(flat[start : start + size] ** 2))) if size else 0.0
        names += [name] * len(picked)
        where += [start + int(i) for i in picked]
        scales += [max(root, thresholds.SMALLEST_SCALE)] * len(picked)
        start += size
    return names, np.asarray(where, np.int32), np.asarray(scales)


def _near(numeric: np.ndarray, analytic: np.ndarray, noise: np.ndarray) -> np.ndarray:
    largest = np.maximum(np.abs(numeric), np.abs(analytic))
    return np.abs(numeric - analytic) <= thresholds.GRADIENT_ERROR * largest + noise


def _error(numeric: np.ndarray, analytic: np.ndarray, noise: np.ndarray) -> float:
    """The relative error; 0 where both are no larger than rounding."""
    largest = max(float(np.linalg.norm(numeric)), float(np.linalg.norm(analytic)))
    if largest <= thresholds.ROUNDING * float(np.linalg.norm(noise)):
        return 0.0
    return float(np.linalg.norm(numeric - analytic)) / largest
