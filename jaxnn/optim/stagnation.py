"""Lower the learning rate when a value stops improving.

`plateau_rule` is the pure rule of counting. The controller `jaxnn.train.plateau` runs it in
`fit`, and the transformation `reduce_on_plateau` runs it in a training loop of your own. Peers
count evaluations differently, so that their drops come whole epochs apart; each way of counting
is an argument here, and the tests compare each with numbers of the peer's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_choice, check_count, check_positive_int
from jaxnn.optim.knobs import number, transformation

__all__ = [
    "PlateauRule",
    "PlateauState",
    "improvement",
    "plateau_rule",
    "reduce_on_plateau",
    "worst",
]


def improvement(
    value: jax.Array, best: jax.Array, mode: str, rtol: Any = 0.0, atol: Any = 0.0
) -> jax.Array:
    r"""Say whether a value improves on the best b by more than a margin, $r\,|b| + a$.

    That is, whether $v < b - r\,|b| - a$, or $v > b + r\,|b| + a$ with `mode="max"`. The margin
    is above 0 on either side of 0, so that a best of −1 can be improved on as one of 1 can. NaN
    is never an improvement. The first finite value improves on the infinite best of the start.

    >>> bool(improvement(jnp.array(0.99), jnp.array(1.0), "min", rtol=0.1))
    False
    """
    below, above = 1 - rtol, 1 + rtol
    if mode == "min":
        factor = jnp.where(best < 0, above, below)
        return value < jnp.where(jnp.isinf(best), best, factor * best - atol)
    factor = jnp.where(best < 0, below, above)
    return value > jnp.where(jnp.isinf(best), best, factor * best + atol)


def worst(mode: str) -> jax.Array:
    """Return the value that every finite value improves on: ∞ for "min", −∞ for "max"."""
    return jnp.asarray(math.inf if mode == "min" else -math.inf, float)


_MOST = 2**31 - 2  # PyTorch's way of counting adds one


class PlateauState(NamedTuple):
    """State of `plateau_rule` and `reduce_on_plateau`."""

    best: jax.Array  # () the best value so far
    count: jax.Array  # () int32: evaluations since the last improvement or drop
    cooldown: jax.Array  # () int32: evaluations left of the cool-down, in which none are counted
    scale: jax.Array  # () the factor that the learning rate is multiplied by
    gathered: Any  # values since the last evaluation; () with an accumulation size of 1


class Gathered(NamedTuple):
    """Values that will be averaged to one evaluation."""

    count: jax.Array  # () int32: how many there are so far
    mean: jax.Array  # () their mean


@dataclass(frozen=True, eq=False)
class PlateauRule:
    """The rule that `plateau_rule` builds: two pure functions, `init` and `update`."""

    factor: float | jax.Array
    patience: int
    mode: str
    rtol: float | jax.Array
    atol: float | jax.Array
    cooldown: int
    min_scale: float | jax.Array
    counting: str
    accumulation_size: int = 1

    def init(self) -> PlateauState:
        """Return the state before the first evaluation."""
        zero = jnp.zeros((), jnp.int32)
        gathered = () if self.accumulation_size == 1 else Gathered(zero, jnp.zeros((), float))
        return PlateauState(worst(self.mode), zero, zero, jnp.ones((), float), gathered)

    def update(self, state: PlateauState, value: jax.Array) -> PlateauState:
        """Return the state after one more value, and after an evaluation if it completes one."""
        value = jnp.asarray(value, state.best.dtype)
        if self.accumulation_size == 1:
            return self._after(state, value)
        count, mean = state.gathered
        mean = (count * mean + value) / (count + 1)
        full = count + 1 == self.accumulation_size
        state = jax.tree.map(lambda a, b: jnp.where(full, a, b), self._after(state, mean), state)
        gathered = Gathered(jnp.where(full, 0, count + 1), jnp.where(full, 0, mean))
        return state._replace(gathered=gathered)

    def _after(self, state: PlateauState, value: jax.Array) -> PlateauState:
        better = improvement(value, state.best, self.mode, self.rtol, self.atol)
        best = jnp.where(better, value, state.best)
        cooling = state.cooldown > 0
        left = jnp.maximum(state.cooldown - 1, 0)
        # Keras counts the evaluation in which the cool-down ends; PyTorch and Optax do not.
        resting = left > 0 if self.counting == "keras" else cooling
        count = jnp.where(better | resting, 0, jnp.where(cooling, 1, state.count + 1))
        enough = self.patience + (1 if self.counting == "pytorch" else 0)
        # An improvement never lowers the rate, even if the patience is 0.
        lower = (count >= enough) & (count > 0)
        scale = jnp.maximum(state.scale * self.factor, self.min_scale)
        return PlateauState(
            best=best,
            count=jnp.where(lower, 0, count).astype(jnp.int32),
            cooldown=jnp.where(lower, self.cooldown, left).astype(jnp.int32),
            # A scale that is below the minimum already must not be raised to it.
            scale=jnp.where(lower, jnp.minimum(scale, state.scale), state.scale),
            gathered=state.gathered,
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
    accumulation_size: int = 1,
) -> PlateauRule:
    r"""Build the pure rule that lowers a scale after evaluations without improvement.

    This is the rule alone, which touches neither a training run nor an optimizer:
    `jaxnn.train.plateau` applies it in `fit`, `reduce_on_plateau` in a chain of Optax
    transformations.

    A value improves on the best b so far if it is below $b - r\,|b| - a$, or above
    $b + r\,|b| + a$ with `mode="max"`. (Optax and PyTorch write $(1 - r)\,b$, which is the same
    for positive values; of negative ones it asks nothing.) PyTorch's `threshold` is `rtol` in
    its mode "rel" and `atol` in its mode "abs". Keras' `min_delta` is `atol`, with `rtol=0`.

    Args:
      factor: what the scale is multiplied by at each drop, in [0, 1].
      patience: number of evaluations without improvement before a drop, at least 0.
      mode: "min" if the value should fall, "max" if it should rise.
      rtol: r, at least 0.
      atol: a, at least 0.
      cooldown: number of evaluations after a drop in which none are counted, at least 0.
      min_scale: lower bound of the scale, at least 0.
      counting: "optax" and "keras" lower the rate at the `patience`-th evaluation in a row
        without improvement, "pytorch" at the one after it. "keras" also counts the evaluation
        in which the cool-down ends.
      accumulation_size: number of values whose mean is one evaluation, at least 1. A loss of
        each batch is noisy, so it asks for more than 1.

    Each float may be a traced scalar.

    Returns:
      The rule, with two pure functions `init()` and `update(state, value)`.

    Raises:
      ValueError: a value is outside its range.

    >>> rule = plateau_rule(0.5, patience=2)
    >>> state = rule.init()
    >>> for value in (1.0, 1.0, 1.0):
    ...     state = rule.update(state, value)
    >>> state.scale
    Array(0.5, dtype=float32)

    Source: lectures C, N and M ("performance scheduling").
    """
    factor = number("factor", factor, 0, 1)
    check_choice("mode", mode, ("min", "max"))
    check_choice("counting", counting, ("optax", "pytorch", "keras"))
    rtol, atol = number("rtol", rtol, 0), number("atol", atol, 0)
    min_scale = number("min_scale", min_scale, 0)
    patience, cooldown = check_count("patience", patience), check_count("cooldown", cooldown)
    size = check_positive_int("accumulation_size", accumulation_size)
    for name, count in (
        ("patience", patience),
        ("cooldown", cooldown),
        ("accumulation_size", size),
    ):
        if count > _MOST:
            raise ValueError(f"{name} must be at most {_MOST}, which int32 can count, got {count}")
    return PlateauRule(factor, patience, mode, rtol, atol, cooldown, min_scale, counting, size)


def reduce_on_plateau(
    factor: float | jax.Array = 0.1, patience: int = 10, **rule: Any
) -> optax.GradientTransformationExtraArgs:
    """Build a transformation that scales updates by `plateau_rule`, for a loop of your own.

    It stands last in a chain, like `optax.contrib.reduce_on_plateau`. Its update takes the
    watched value, `tx.update(grads, state, params, value=loss)`, and each call counts as one
    evaluation, unless `accumulation_size` says that several do. Inside `jaxnn.fit` use the
    controller `jaxnn.train.plateau` instead, which counts evaluations on the validation part.

    Args:
      factor, patience, **rule: as in `plateau_rule`.

    Returns:
      A transformation whose state is `PlateauState`.

    Raises:
      ValueError: a value is outside its range.
      TypeError: an update is not given `value`.

    >>> tx = optax.chain(optax.sgd(1.0), reduce_on_plateau(0.5, patience=1))
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
        return jax.tree.map(lambda u: u * state.scale.astype(jnp.result_type(u)), updates), state

    return transformation(init, update)
