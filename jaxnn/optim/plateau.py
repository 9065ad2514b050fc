"""Lowering the rate when a value stops improving: one rule, for `fit` and for own loops.

Peers count differently, and their results differ by whole epochs; each way of counting is an
argument here, bound to numbers of theirs in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_choice, check_count, check_knob
from jaxnn.optim.rate import transformation

__all__ = ["PlateauRule", "PlateauState", "improvement", "plateau", "plateau_rule"]


def improvement(
    value: jax.Array, best: jax.Array, mode: str, rtol: Any = 0.0, atol: Any = 0.0
) -> jax.Array:
    r"""Whether `value` is better than `best`: $v < (1 - r)\,b - a$, or $v > (1 + r)\,b + a$.

    Never for NaN. The first finite value is better than the infinite best of the start.

    >>> bool(improvement(jnp.array(0.99), jnp.array(1.0), "min", rtol=0.1))
    False
    """
    if mode == "min":
        threshold = jnp.where(jnp.isinf(best), best, (1 - rtol) * best - atol)
        return value < threshold
    threshold = jnp.where(jnp.isinf(best), best, (1 + rtol) * best + atol)
    return value > threshold


def worst(mode: str) -> jax.Array:
    """What every value is better than."""
    return jnp.asarray(math.inf if mode == "min" else -math.inf, float)


class PlateauState(NamedTuple):
    """What the plateau rule remembers."""

    best: jax.Array  # () the best value so far
    count: jax.Array  # () int32: evaluations without improvement
    cooldown: jax.Array  # () int32: evaluations left in which none are counted
    scale: jax.Array  # () by which the rate is multiplied


@dataclass(frozen=True, eq=False)
class PlateauRule:
    """See `plateau_rule`."""

    factor: float | jax.Array
    patience: int
    mode: str
    rtol: float | jax.Array
    atol: float | jax.Array
    cooldown: int
    min_scale: float | jax.Array
    counting: str

    def init(self) -> PlateauState:
        zero = jnp.zeros((), jnp.int32)
        return PlateauState(worst(self.mode), zero, zero, jnp.ones((), float))

    def update(self, state: PlateauState, value: jax.Array) -> PlateauState:
        """The state after an evaluation that gave `value`."""
        value = jnp.asarray(value, state.best.dtype)
        better = improvement(value, state.best, self.mode, self.rtol, self.atol)
        best = jnp.where(better, value, state.best)
        cooling = state.cooldown > 0
        left = jnp.maximum(state.cooldown - 1, 0)
        # Keras counts the evaluation in which the cool-down ends; PyTorch and Optax do not.
        resting = left > 0 if self.counting == "keras" else cooling
        count = jnp.where(better | resting, 0, jnp.where(cooling, 1, state.count + 1))
        enough = self.patience + (1 if self.counting == "pytorch" else 0)
        # An improvement is never the moment, also where the patience is 0.
        lower = (count >= enough) & (count > 0)
        scale = jnp.maximum(state.scale * self.factor, self.min_scale)
        return PlateauState(
            best=best,
            count=jnp.where(lower, 0, count).astype(jnp.int32),
            cooldown=jnp.where(lower, self.cooldown, left).astype(jnp.int32),
            # A scale that stands below the minimum already is not raised to it.
            scale=jnp.where(lower, jnp.minimum(scale, state.scale), state.scale),
        )


def plateau_rule(
    factor: float | jax.Array = 0.1,
    patience: int = 10,
    *,
    mode: str = "min",
    rtol: float | jax.Array = 1e-4,
    atol: float | jax.Array = 0.0,
    cooldown: int = 0,
    min_scale: float | jax.Array = 0.0,
    counting: Literal["optax", "pytorch", "keras"] = "optax",
) -> PlateauRule:
    r"""Multiply a scale by `factor` after evaluations without improvement.

    A value is better than the best so far where it is below $(1 - r)\,b - a$ (above
    $(1 + r)\,b + a$ for `mode="max"`). PyTorch's `threshold` is `rtol` in its mode "rel" and
    `atol` in "abs"; Keras' `min_delta` is `atol`, with `rtol=0`.

    Args:
      factor: in [0, 1].
      patience: evaluations, at least 0.
      mode: "min" or "max".
      rtol: r, at least 0.
      atol: a, at least 0.
      cooldown: evaluations after a drop in which none are counted, at least 0.
      min_scale: what the scale does not fall below, at least 0.
      counting: "optax" and "keras" lower the rate at the `patience`-th evaluation in a row
        without improvement, "pytorch" at the one after it; "keras" counts the evaluation in
        which the cool-down ends.

    The floats may be traced scalars.

    Returns:
      The rule, a pair of pure functions `init()` and `update(state, value)`.

    Raises:
      ValueError: a value outside its range.

    >>> rule = plateau_rule(0.5, patience=2)
    >>> state = rule.init()
    >>> for value in (1.0, 1.0, 1.0):
    ...     state = rule.update(state, value)
    >>> state.scale
    Array(0.5, dtype=float32)

    Source: lectures C, N and M ("performance scheduling").
    """
    check_knob("factor", factor, 0, 1)
    check_choice("mode", mode, ("min", "max"))
    check_choice("counting", counting, ("optax", "pytorch", "keras"))
    for name, value in (("rtol", rtol), ("atol", atol), ("min_scale", min_scale)):
        check_knob(name, value, 0)
    patience, cooldown = check_count("patience", patience), check_count("cooldown", cooldown)
    return PlateauRule(factor, patience, mode, rtol, atol, cooldown, min_scale, counting)


def plateau(
    factor: float | jax.Array = 0.1, patience: int = 10, **rule: Any
) -> optax.GradientTransformationExtraArgs:
    """The plateau rule as the last link of a chain, for a loop of one's own.

    Its update takes the watched value: `tx.update(grads, state, params, value=loss)`. Each
    call counts as an evaluation. In `jaxnn.fit` use `jaxnn.train.plateau`, which counts
    evaluations on the validation part.

    Args:
      factor, patience, **rule: as in `plateau_rule`.

    Returns:
      A transformation whose state is `PlateauState`.

    Raises:
      ValueError: a value outside its range. TypeError: an update without `value`.

    >>> tx = optax.chain(optax.sgd(1.0), plateau(0.5, patience=1))
    >>> state = tx.init(jnp.zeros(1))
    >>> for loss in (2.0, 2.0):
    ...     update, state = tx.update(jnp.ones(1), state, value=loss)
    >>> update
    Array([-0.5], dtype=float32)
    """
    watched = plateau_rule(factor, patience, **rule)

    def init(params: optax.Params) -> PlateauState:
        del params
        return watched.init()

    def update(
        updates: optax.Updates,
        state: PlateauState,
        params: optax.Params | None = None,
        *,
        value: jax.Array | float,
        **extra_args: Any,
    ) -> tuple[optax.Updates, PlateauState]:
        del params, extra_args
        state = watched.update(state, jnp.asarray(value, float))
        return jax.tree.map(lambda u: u * state.scale.astype(u.dtype), updates), state

    return transformation(init, update)
