"""The surfaces on which `optimizer_paths` runs the optimizers, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax

Surface = Callable[[jax.Array], jax.Array]
"""The loss at a point (2,), a scalar whose minimum is 0."""


def valley(point: jax.Array) -> jax.Array:
    """An elongated bowl: fifty times as steep across as along."""
    x, y = point
    return 0.5 * (x**2 + 50 * y**2)


def saddle(point: jax.Array) -> jax.Array:
    """Up and down along x, down to two minima along y; the saddle is at the origin."""
    x, y = point
    return 0.5 * x**2 + 0.25 * (y**2 - 1) ** 2


def rosenbrock(point: jax.Array) -> jax.Array:
    """A bent valley with a flat floor."""
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


class Scene(NamedTuple):
    """Describe a surface and what is drawn of it."""

    title: str
    loss: Surface
    starts: tuple[tuple[float, float], tuple[float, float]]
    minima: tuple[tuple[float, float], ...]
    window: tuple[float, float, float, float]  # x from, to; y from, to
    levels: tuple[float, ...]  # of the contours
    text: str


SCENES = {
    "valley": Scene(
        "Narrow valley",
        valley,
        starts=((-2.2, 0.55), (1.6, -0.7)),
        minima=((0.0, 0.0),),
        window=(-2.6, 2.6, -1.0, 1.0),
        levels=(0.05, 0.3, 1, 2.5, 5, 9, 15),
        text="f = ½(x² + 50y²). Steep across and flat along: a rate that is safe across is slow "
        "along. A velocity adds up what the gradients agree on, and cancels what they do not; "
        "a rate of its own for each coordinate makes the bowl round.",
    ),
    "saddle": Scene(
        "Saddle point",
        saddle,
        starts=((-1.6, 0.01), (1.3, -0.2)),
        minima=((0.0, 1.0), (0.0, -1.0)),
        window=(-2.0, 2.0, -1.6, 1.6),
        levels=(0.03, 0.1, 0.2, 0.35, 0.6, 1, 1.6),
        text="f = ½x² + ¼(y² − 1)². The gradient leads to the saddle at the origin first, where "
        "it all but vanishes; the first start is only 0.01 beside the ridge. What divides by "
        "the size of past gradients leaves the ridge at once.",
    ),
    "rosenbrock": Scene(
        "Rosenbrock's function",
        rosenbrock,
        starts=((-1.2, 1.0), (0.2, 2.2)),
        minima=((1.0, 1.0),),
        window=(-1.9, 1.9, -0.7, 2.7),
        levels=(3, 12, 40, 110, 250, 500, 900),
        text="f = (1 − x)² + 100(y − x²)². The floor of the bent valley is so flat that finding "
        "it is easy, and following it is not. AdamW ends beside the minimum, since its decay "
        "pulls towards the origin.",
    ),
}
