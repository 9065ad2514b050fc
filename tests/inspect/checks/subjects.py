"""Small healthy recipes and data, from which the planted faults differ in one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from jaxnn.data import Data

CLASSES, FEATURES = 3, 6


class Fault(NamedTuple):
    """A recipe and data with one planted fault."""

    make: Callable[[], tuple[Any, Any]]
    check: str
    where: str = ""
    slow: bool = False


_CENTRES = np.random.default_rng(7).normal(size=(CLASSES, FEATURES)) * 1.5


def part(n: int, seed: int) -> dict[str, np.ndarray]:
    """Blobs of three classes, standardized."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    x = _CENTRES[y] + rng.normal(size=(n, FEATURES))
    mean, deviation = _CENTRES.mean(0), np.sqrt(1 + _CENTRES.var(0))
    x = (x - mean[None]) / deviation[None]
    return {"x": x.astype(np.float32), "y": y.astype(np.int32)}


def blobs(
    x: Callable[[np.ndarray], Any] | None = None,
    y: Callable[[np.ndarray], Any] | None = None,
    *,
    only: str = "",
) -> Data:
    """The blobs, their inputs or labels spoiled in all parts, or in one alone."""
    parts = {"train": part(240, 1), "val": part(80, 2), "test": part(80, 3)}
    for name, rows in parts.items():
        if only in ("", name):
            rows["x"] = rows["x"] if x is None else np.asarray(x(rows["x"]))
            rows["y"] = rows["y"] if y is None else np.asarray(y(rows["y"]))
    return Data(**parts)


def curve(y: Callable[[np.ndarray], Any] | None = None) -> Data:
    """A regression of two features, with targets of mean 0 and deviation near 1."""

    def rows(n: int, seed: int) -> dict[str, np.ndarray]:
        x = np.random.default_rng(seed).normal(size=(n, 2))
        target = np.sin(2 * x[:, :1]) + 0.5 * x[:, 1:]
        target = target if y is None else y(target)
        return {"x": x.astype(np.float32), "y": np.asarray(target, np.float32)}

    return Data(rows(200, 1), rows(80, 2))


def yes_no(rows: Data) -> Data:
    """Ask of each example of the blobs whether it is of class 0."""

    def asked(part: Any) -> Any:
        return {"x": part["x"], "y": (part["y"] == 0).astype(np.float32)[:, None]}

    return Data(asked(rows.train), asked(rows.val), asked(rows.test))


def classifier(model: Any = None, loss: Any = None, optimizer: Any = None, **more: Any) -> Any:
    return jaxnn.Recipe(
        jaxnn.nn.MLP((16, CLASSES)) if model is None else model,
        loss or jaxnn.losses.softmax_cross_entropy,
        optimizer or jaxnn.optim.adam(1e-2),
        **more,
    )


def regression(model: Any = None, **more: Any) -> Any:
    model = jaxnn.nn.MLP((32, 32, 1)) if model is None else model
    return classifier(model, jaxnn.losses.squared_error, **more)


def binary(model: Any = None, loss: Any = None, **more: Any) -> Any:
    model = jaxnn.nn.MLP((16, 1)) if model is None else model
    return classifier(model, loss or jaxnn.losses.sigmoid_cross_entropy, **more)


class Ended(nn.Module):
    """An MLP with something behind its last layer."""

    end: Callable[[jax.Array], jax.Array]
    outputs: int = CLASSES
    hidden: tuple[int, ...] = (16,)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return self.end(jaxnn.nn.MLP((*self.hidden, self.outputs))(x))


class Normalized(nn.Module):
    """A network with batch normalization, which is told its mode, or some constant mode."""

    told: bool | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        told = train if self.told is None else self.told
        x = nn.Dense(16, use_bias=False)(x)
        x = nn.BatchNorm(use_running_average=not told, momentum=0.9)(x)
        return nn.Dense(CLASSES)(nn.relu(x))


class BatchInEvaluation(nn.Module):
    """Batch statistics in evaluation too, though the running ones are kept."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.Dense(16)(x)
        normalized = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        own = (x - x.mean(0, keepdims=True)) / jnp.sqrt(x.var(0, keepdims=True) + 1e-5)
        return nn.Dense(CLASSES)(nn.relu(normalized if train else own))


class OtherInEvaluation(nn.Module):
    """Evaluation forgets the scale that training has."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.Dense(16)(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(CLASSES)(nn.relu(x if train else 3 * x))


class Dropped(nn.Module):
    """A network whose dropout has a mode of its own."""

    deterministic: bool

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.relu(nn.Dense(32)(x))
        return nn.Dense(CLASSES)(nn.Dropout(0.5, deterministic=self.deterministic)(x))


class Cut(nn.Module):
    """A network through which no gradient reaches the first layer."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = jax.lax.stop_gradient(nn.relu(nn.Dense(16, name="first")(x)))
        return nn.Dense(CLASSES, name="last")(x)


class Unused(nn.Module):
    """A network with a layer whose outputs nobody uses."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        nn.Dense(4, name="idle")(x)
        return jaxnn.nn.MLP((16, CLASSES))(x)


class Blind(nn.Module):
    """A network that looks at nothing of its inputs but their number."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return jaxnn.nn.MLP((16, CLASSES))(jnp.ones_like(x))


class Layers(nn.Module):
    """Dense layers with one activation and one initializer."""

    activation: Callable[[jax.Array], jax.Array] = nn.relu
    kernel_init: Any = nn.initializers.he_normal()
    bias_init: Any = nn.initializers.zeros
    hidden: tuple[int, ...] = (16, 16)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate((*self.hidden, CLASSES)):
            x = nn.Dense(width, kernel_init=self.kernel_init, bias_init=self.bias_init)(x)
            if i < len(self.hidden):
                path = f"Dense_{i}"
                x = jaxnn.nn.tap(path, x, site="preactivation")
                x = jaxnn.nn.tap(path, self.activation(x))
        return x


@jax.custom_jvp
def doubled(x: jax.Array) -> jax.Array:
    """tanh, with twice its gradient."""
    return jnp.tanh(x)


doubled.defjvp(
    lambda primals, tangents: (
        jnp.tanh(primals[0]),
        2 * (1 - jnp.tanh(primals[0]) ** 2) * tangents[0],
    )
)


@jax.custom_jvp
def reversed_slope(losses: jax.Array) -> jax.Array:
    """The identity, with minus its gradient."""
    return losses


reversed_slope.defjvp(lambda primals, tangents: (primals[0], -tangents[0]))


@jax.custom_jvp
def square(x: jax.Array) -> jax.Array:
    """x², with the gradient x."""
    return x**2


square.defjvp(lambda primals, tangents: (primals[0] ** 2, primals[0] * tangents[0]))


def images(n: int = 120) -> Data:
    """Digits of 8×8 pixels."""
    data = jaxnn.data.digits(key=0)
    return replace(data, train={name: leaf[:n] for name, leaf in data.train.items()})
