"""What a row of the layer table says, and how the contract suite runs it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from layer_formulas import Formula

KEY = jax.random.key(7)


@dataclass(frozen=True)
class Knob:
    """A hyper-parameter that may be a traced scalar."""

    value: float  # in the layer of the row
    axis: tuple[float, ...]  # of vmap
    limits: str  # as a refusal shows them
    outside: tuple[float, ...]


RATE = Knob(0.4, (0.0, 0.2, 0.5, 0.9, 0.999999), "[0, 1)", (-0.1, 1.0, 1.5, np.nan))
EPSILON = Knob(0.1, (0.0, 0.1, 3.0), "[0, inf)", (-1e-3, np.nan, np.inf))
MOMENTUM = Knob(0.9, (0.0, 0.5, 0.999), "[0, 1)", (-0.1, 1.0, np.nan))
SLOPE = Knob(0.3, (-1.0, 0.0, 0.25, 3.0), "(-inf, inf)", (np.nan, np.inf))


@dataclass(frozen=True)
class Refusal:
    """Arguments or inputs that the layer must refuse, and the words in which it does."""

    message: str
    changes: Mapping[str, Any]
    shape: tuple[int, ...] | None  # of all inputs; None: as the row has them
    dtype: str
    error: type[Exception]


def refusal(
    message: str,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: str = "float32",
    error: type[Exception] = ValueError,
    **changes: Any,
) -> Refusal:
    return Refusal(message, changes, shape, dtype, error)


IMAGES = (6, 6, 4)
NO_IMAGES = refusal(r"x must be images .* got shape \(16, 4, 4\)", shape=(16, 4, 4))
NO_FEATURES = refusal("features must be a positive integer, got 0", features=0)


@dataclass(frozen=True, eq=False)
class Row:
    """A layer, a model or a function, and all that the contract suite needs to know of it."""

    name: str
    covers: tuple[str, ...]  # names of `jaxnn.nn`
    factory: Callable[..., linen.Module]  # called with the static arguments and the knobs
    shape: tuple[int, ...]  # of one input
    numpy: Formula  # of evaluation
    static: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    draws: tuple[tuple[int, ...], ...] = ()  # shapes of what 16 inputs draw in training
    leading: bool = False  # whether inputs may have any leading axes
    refuses: tuple[Refusal, ...] = ()

    def make(self, **changes: Any) -> linen.Module:
        knobs = {name: knob.value for name, knob in self.knobs.items()}
        return self.factory(**{**self.static, **knobs, **changes})

    def takes(self, keyword: str) -> bool:
        return keyword in inspect.signature(type(self.make()).__call__).parameters


class Function(linen.Module):
    """A pure function as a layer; one that draws has another one for evaluation."""

    evaluate: Callable[[jax.Array], jax.Array]
    draw: Callable[[jax.Array, jax.Array], jax.Array] | None = None

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if train and self.draw is not None:
            return self.draw(self.make_rng("dropout"), x)
        return self.evaluate(x)


def of_function(function: Callable[..., jax.Array]) -> Callable[..., Function]:
    return lambda **arguments: Function(functools.partial(function, **arguments))


def drawing(draw: Callable[..., jax.Array], mean: Callable[..., jax.Array]) -> Callable:
    """Make layers of a function that draws in training and of its mean, for evaluation."""
    return lambda **arguments: Function(
        functools.partial(mean, **arguments), functools.partial(draw, **arguments)
    )


def inputs(row: Row, rows: int = 16, dtype: Any = float) -> jax.Array:
    x = np.random.default_rng(rows).normal(size=(rows, *row.shape))
    return jnp.asarray(np.where(np.abs(x) < 0.01, 0.01, x), dtype)  # a 0 would hide a mask


@functools.cache
def _variables(row: Row, dtype: str) -> dict[str, Any]:
    start = jax.jit(row.make().init)(jax.random.key(1), inputs(row, 2, dtype))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda p: p + jnp.asarray(0.1 * rng.normal(size=p.shape), p.dtype), start)


def variables(row: Row, x: jax.Array) -> dict[str, Any]:
    """Initial variables, moved off 0 where they start there, so that biases count."""
    return _variables(row, x.dtype.name)


def evaluated(row: Row, v: Any, x: jax.Array, **changes: Any) -> jax.Array:
    return row.make(**changes).apply(v, x)


def trained(
    row: Row, v: Any, x: jax.Array, key: jax.Array = KEY, padding: int = 0, **changes: Any
) -> tuple[jax.Array, Any]:
    """Outputs and updated state of a training pass, whose last rows may be padding."""
    keywords: dict[str, Any] = {"train": True} if row.takes("train") else {}
    if row.takes("weight") and padding:
        keywords["weight"] = jnp.ones(len(x)).at[-padding:].set(0)
    return row.make(**changes).apply(
        v, x, rngs={"dropout": key}, mutable=["batch_stats"], **keywords
    )


@functools.cache
def training(row: Row) -> Callable[..., tuple[jax.Array, Any]]:
    """A training pass as one program of (variables, inputs, key)."""
    return jax.jit(functools.partial(trained, row))


@functools.cache
def plain(row: Row) -> tuple[jax.Array, Any]:
    """Outputs and state of training on 16 inputs and one device."""
    x = inputs(row)
    return training(row)(variables(row, x), x, KEY)
