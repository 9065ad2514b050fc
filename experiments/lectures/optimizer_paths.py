"""Draw the optimizers' paths through a narrow valley, a saddle and Rosenbrock's function.

    python -m experiments.lectures.optimizer_paths

Each optimizer of jaxnn.optim descends on three surfaces of two variables, from two starts
each, at thirteen rates from 1e-4 to 1. All of it is one compiled program, in which an optimizer is
mapped over surfaces, starts and rates, and scanned over steps. The pictures show each optimizer
on each surface at the rate at which it ends lowest or, where it ends below 1e-6 at several rates,
at the lowest of these. So they depend neither on our guess of a rate nor on a lucky last step.

Cost: 5 to 12 seconds on two cores of an x86 server, the upper end with other work beside it;
half of it is compilation, half drawing.
Expected (the higher of the two last losses): in the valley, gradient descent ends at 4e-4,
momentum at 3e-9, Nesterov at 1e-11, AdaGrad below 1e-20, Adam at 1e-8, and RMSProp, whose
steps do not shrink, at 3e-3. At the saddle all end below 1e-6. On Rosenbrock's function
gradient descent ends at 2.0 and AdaGrad at 1.7, momentum at 0.12, Nesterov at 0.05, Adam at
0.014, and RMSProp with momentum at 0.003. The two forms of momentum draw the same path, since
the rate is constant.

Source: lecture C, "Challenge 1: Narrow Valleys", "Challenge 2: Saddle Points"; lecture M,
"Observation: Loss functions often resemble elongated bowls".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.lectures import drawing
from experiments.lectures.surfaces import SCENES
from experiments.options import check_file, check_numbers
from experiments.program import run
from jaxnn import optim
from jaxnn.arguments import check_knob
from jaxnn.report import write_album

OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "sgd": optim.sgd,
    "momentum": optim.momentum,
    "momentum, rate inside": partial(optim.momentum, rate_in_velocity=True),
    "nesterov, lookahead": optim.nesterov,
    "nesterov, current": partial(optim.nesterov, form="current"),
    "adagrad": partial(optim.adagrad, initial_accumulator_value=0.0),
    "rmsprop": optim.rmsprop,
    "rmsprop, centered": partial(optim.rmsprop, centered=True),
    "rmsprop, momentum": partial(optim.rmsprop, momentum=0.9),
    "adam": optim.adam,
    "adam, uncorrected": partial(optim.adam, bias_correction=False),
    "amsgrad": partial(optim.adam, amsgrad="raw"),
    "nadam": optim.nadam,
    # The point is one vector, so the usual mask would take it for a bias.
    "adamw": partial(optim.adamw, weight_decay=1e-2, mask="all"),
    "adadelta": optim.adadelta,
    "adamax": optim.adamax,
    "radam": optim.radam,
    "lion": optim.lion,
}

FAMILIES = {
    "gradient and velocity": tuple(OPTIMIZERS)[:5],
    "AdaGrad and RMSProp": tuple(OPTIMIZERS)[5:9],
    "Adam": tuple(OPTIMIZERS)[9:14],
    "relatives": tuple(OPTIMIZERS)[14:],
}


ARRIVED = 1e-6
"""A loss from which on it does not matter which path ends lower."""


@dataclass(frozen=True)
class Config:
    """Draw the path of every optimizer on three surfaces."""

    steps: int = 200
    """Updates of each path, at least 1."""
    rates: int = 13
    """How many learning rates each optimizer is tried at, evenly on a log scale, at least 1."""
    lowest_rate: float = 1e-4
    """The lowest of them, above 0."""
    highest_rate: float = 1.0
    """The highest of them, at least the lowest."""
    page: Path = Path("runs/lectures/optimizer_paths.html")
    """HTML file in which the pictures are written."""


class Paths(NamedTuple):
    """Hold one optimizer's paths; axes: surface, start, rate, step, and coordinate of points."""

    points: Any  # (surfaces, starts, rates, steps + 1, 2)
    losses: Any  # (surfaces, starts, rates, steps + 1)


class Chosen(NamedTuple):
    """Hold one optimizer's paths on one surface at the rate that is drawn."""

    rate: float
    points: np.ndarray  # (starts, steps + 1, 2)
    losses: np.ndarray  # (starts, steps + 1)


def descend(
    make: Callable[[Any], optax.GradientTransformation],
    steps: int,
    surface: jax.Array,
    start: jax.Array,
    rate: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Compute one path: points and losses, the start included. Arrays may be traced."""
    tx = make(rate)
    losses = [scene.loss for scene in SCENES.values()]

    def gradient(point: jax.Array) -> jax.Array:
        # Choosing among gradients, and not the gradient of a choice: where all surfaces are
        # computed under vmap, an overflow on one would reach the others as 0 · inf.
        return jax.lax.switch(surface, [jax.grad(loss) for loss in losses], point)

    def step(carry: tuple[jax.Array, Any], _: None) -> tuple[tuple[jax.Array, Any], jax.Array]:
        point, state = carry
        grads = gradient(optim.lookahead_params(point, state))
        updates, state = tx.update(grads, state, point)
        point = optax.apply_updates(point, updates)
        return (point, state), point

    _, points = jax.lax.scan(step, (start, tx.init(start)), None, length=steps)
    points = jnp.concatenate([start[None], points])
    return points, jax.vmap(lambda point: jax.lax.switch(surface, losses, point))(points)


@partial(jax.jit, static_argnums=0)
def all_paths(steps: int, starts: jax.Array, rates: jax.Array) -> dict[str, Paths]:
    """Compute all paths in one program: optimizers by surfaces, starts and rates.

    Args:
      steps: static.
      starts: (surfaces, starts, 2), in the order of `SCENES`.
      rates: (rates,).
    """
    surfaces = jnp.arange(len(SCENES))

    def paths(make: Callable[[Any], optax.GradientTransformation]) -> Paths:
        one = partial(descend, make, steps)
        over_rates = jax.vmap(one, (None, None, 0))
        over_starts = jax.vmap(over_rates, (None, 0, None))
        return Paths(*jax.vmap(over_starts, (0, 0, None))(surfaces, starts, rates))

    return {name: paths(make) for name, make in OPTIMIZERS.items()}


def choose(paths: Paths, rates: np.ndarray) -> dict[str, Chosen]:
    """Choose the rate to draw on each surface, by the last loss of the paths.

    The loss of a rate is the sum over the starts. All that are below 1e-6 have arrived alike.
    """
    chosen = {}
    for surface, points, losses in zip(SCENES, paths.points, paths.losses, strict=True):
        last = np.maximum(losses[:, :, -1].sum(axis=0), ARRIVED)
        place = int(np.argmin(np.where(np.isfinite(last), last, np.inf)))  # the first of equals
        chosen[surface] = Chosen(float(rates[place]), points[:, place], losses[:, place])
    return chosen


def main(config: Config) -> dict[str, dict[str, Chosen]]:
    """Compute all paths, draw the best, and return them by optimizer and surface."""
    check_numbers(config, "steps", "rates")
    check_knob("lowest_rate", config.lowest_rate, 0, low_open=True)
    check_knob("highest_rate", config.highest_rate, 0, low_open=True)
    if config.lowest_rate > config.highest_rate:
        raise ValueError(
            f"lowest_rate must be at most highest_rate, got {config.lowest_rate} and "
            f"{config.highest_rate}"
        )
    check_file("page", config.page)
    rates = np.geomspace(config.lowest_rate, config.highest_rate, config.rates)
    starts = np.array([scene.starts for scene in SCENES.values()])
    found = jax.device_get(all_paths(config.steps, jnp.asarray(starts), jnp.asarray(rates)))
    # A compiled program hands its dict back sorted; the order here is that of the table.
    chosen = {name: choose(found[name], rates) for name in OPTIMIZERS}

    print(f"{'last loss (rate)':24}" + "".join(f"{scene.title:>26}" for scene in SCENES.values()))
    for name, by_surface in chosen.items():
        cells = [f"{c.losses[:, -1].max():.1e} ({c.rate:.2g})" for c in by_surface.values()]
        print(f"{name:24}" + "".join(f"{cell:>26}" for cell in cells))
    print(f"page  {draw(chosen, config)}")
    return chosen


def draw(chosen: dict[str, dict[str, Chosen]], config: Config) -> Path:
    """Write the page."""
    how = (
        f"Each of the {len(OPTIMIZERS)} optimizers takes {config.steps} steps from two starts, "
        f"at {config.rates} rates from {config.lowest_rate:g} to {config.highest_rate:g}, on "
        "every surface; all of it is one compiled program. Drawn is, for each optimizer, the "
        f"rate at which it ends lowest or, where several end below {ARRIVED:g}, the lowest of "
        "these; it stands above the picture, with the higher of the two last losses. The "
        "curves below show the loss from the first start, down to 1e-12."
    )
    sections = [("How to read this", how, [])]
    for name, scene in SCENES.items():
        by_optimizer = {optimizer: found[name] for optimizer, found in chosen.items()}
        figures = [
            drawing.path_panels(scene, by_optimizer, every=max(config.steps // 20, 1)),
            drawing.loss_panels(scene, by_optimizer, FAMILIES),
        ]
        sections.append((scene.title, scene.text, figures))
    return write_album(config.page, "Paths of the optimizers", sections)


if __name__ == "__main__":
    run(main, Config, __doc__)
