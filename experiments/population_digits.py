"""Train 256 settings of a network on the digits at once, and keep those that do well.

    python -m experiments.population_digits

draws 256 settings of learning rate, L2 strength and scale of the initial weights, evenly over the
logarithm of their ranges, and of the dropout rate, evenly over its range. They train side by side
in one program: a dense network of 100 hidden units with Nesterov momentum, on 1,078 of the 1,797
digits of 8×8 pixels. Successive halving leaves the third with the lowest validation loss behind
epochs 2, 6 and 18, so that 10 settings train to the end. It prints the best few with their
accuracy on the 359 digits of the test part, what all of them cost, the population's folder, and a
page with all curves and settings. Every range is an option, such as

    python -m experiments.population_digits --members 64 --learning-rate.low 1e-3 --dropout.high 0.5

A setting depends on its number and the seed alone: setting 17 of 64 is setting 17 of 256. On a CPU
each core counts as a device, and the devices share the settings.

Cost: 15 to 45 seconds on two cores of an x86 server, the upper end with other work beside it:
1,564 member-epochs, 11 % of the 13,824 that all 256 settings would take to the end.
Expected: a test accuracy of 0.98 for the setting with the lowest validation loss (0.981, 0.978
and 0.981 for seeds 0 to 2) and of 0.96 to 0.99 for the best five. Their learning rates are 0.02 to
0.13, and their initial weights a tenth to three quarters of He's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from experiments.options import check_folder, check_numbers, check_seed, check_widths
from experiments.program import plain, run, spread_over_cores
from jaxnn.arguments import check_knob
from jaxnn.keys import stream
from jaxnn.population import Population, fit_population, successive_halving

CLASSES = 10
MONITOR = "val/loss"  # by which settings are compared, at each rung and at the end


@dataclass(frozen=True)
class Range:
    """A range that settings are drawn from, evenly over its logarithm; of dropout, evenly."""

    low: float
    """The lowest value of the range."""
    high: float
    """The highest value of the range."""


@dataclass(frozen=True)
class Config:
    """Train many settings of a network on the handwritten digits at once."""

    members: int = 256
    """How many settings are drawn, at least 1."""
    learning_rate: Range = field(default_factory=lambda: Range(1e-4, 1.0))
    l2: Range = field(default_factory=lambda: Range(1e-6, 1e-1))
    dropout: Range = field(default_factory=lambda: Range(0.0, 0.8))
    init_scale: Range = field(default_factory=lambda: Range(0.1, 4.0))
    hidden: tuple[int, ...] = (100,)
    """Units of each hidden layer."""
    epochs: int = 54
    """Passes over the training part, of the settings that train to the end."""
    batch_size: int = 64
    """Examples of a step."""
    factor: int | None = 3
    """Successive halving keeps one of so many settings at each rung, at least 2; None: all train
    to the end."""
    first_rung: int = 2
    """The epoch of the first rung; each further one is `factor` times as late."""
    best: int = 5
    """How many of the best settings are printed, at least 1."""
    seed: int = 0
    """Seed of the split, the settings, the initial weights, the shuffle and dropout."""
    cohort: int | None = None
    """Settings that train side by side on a device; None: the fastest number, as measured."""
    devices: int | None = None
    """How many devices share the settings; on a CPU, how many cores. None: all of them."""
    folder: Path | None = None
    """New folder for the population; None: runs/population-digits-DATE-TIME-seedN."""
    resume: Path | None = None
    """Folder of an earlier population with these settings, to resume from its last checkpoint."""


def logarithmic(part: np.ndarray, knob: Range) -> np.ndarray:
    """Map [0, 1) to the range, evenly over the logarithm.

    >>> logarithmic(np.array([0.0, 0.5]), Range(1e-4, 1.0)).round(6).tolist()
    [0.0001, 0.01]
    """
    return knob.low * (knob.high / knob.low) ** part


def linear(part: np.ndarray, knob: Range) -> np.ndarray:
    """Map [0, 1) to the range, evenly.

    >>> linear(np.array([0.0, 0.5]), Range(0.2, 0.8)).tolist()
    [0.2, 0.5]
    """
    return knob.low + (knob.high - knob.low) * part


SCALES: dict[str, Callable[[np.ndarray, Range], np.ndarray]] = {
    "learning_rate": logarithmic,
    "l2": logarithmic,
    "dropout": linear,
    "init_scale": logarithmic,
}


def draw_knobs(config: Config) -> dict[str, np.ndarray]:
    """Draw the settings: of each knob a value for each member, (members,).

    The draw of a knob has the address (seed, the knob's name, the member's number).
    """
    numbers = jnp.arange(config.members, dtype=jnp.uint32)

    def parts(name: str) -> np.ndarray:
        drawn = jax.vmap(lambda member: jax.random.uniform(stream(config.seed, name, member)))
        return np.asarray(drawn(numbers), np.float64)

    return {
        name: scale(parts(f"population_digits/{name}"), getattr(config, name))
        for name, scale in SCALES.items()
    }


def recipe_maker(config: Config) -> jaxnn.MakeRecipe:
    """Make the function that builds the recipe of a setting from its knobs."""

    def make_recipe(knobs: Any) -> jaxnn.Recipe:
        return jaxnn.Recipe(
            model=jaxnn.nn.MLP(
                (*config.hidden, CLASSES),
                dropout_rate=knobs["dropout"],
                kernel_init=jaxnn.nn.he_normal(knobs["init_scale"]),
            ),
            loss=jaxnn.losses.softmax_cross_entropy,
            optimizer=jaxnn.optim.sgd(knobs["learning_rate"], momentum=0.9, nesterov=True),
            regularizer=jaxnn.regularizers.l2(knobs["l2"]),
        )

    return make_recipe


def check(config: Config) -> None:
    """Refuse options that nothing else refuses before it begins to work."""
    check_seed(config.seed)
    check_numbers(config, "members", "epochs", "batch_size", "factor", "first_rung")
    check_numbers(config, "best", "cohort", "devices")
    check_widths("hidden", config.hidden)
    for name, scale in SCALES.items():
        knob = getattr(config, name)
        highest = 1 if name == "dropout" else math.inf
        for end, value in vars(knob).items():
            positive = scale is logarithmic  # 0 has no logarithm
            check_knob(f"{name}.{end}", value, 0, highest, low_open=positive, high_open=True)
        if knob.low > knob.high:
            raise ValueError(f"{name}.low must be at most {name}.high, got {knob.low:g}")
    for name in ("best", "devices"):
        if (getattr(config, name) or 0) > config.members:
            raise ValueError(
                f"{name} must be at most members, {config.members}, got {getattr(config, name)}"
            )
    if config.factor is not None:
        successive_halving(config.factor, first=config.first_rung)
        if config.first_rung >= config.epochs:
            raise ValueError(
                f"first_rung must be below epochs, {config.epochs}, got {config.first_rung}"
            )
    check_folder("folder", config.folder)


def main(config: Config) -> Population:
    """Train the settings, evaluate the best on the test part, and print where the page is."""
    check(config)
    data = jaxnn.data.digits(key=config.seed)
    folder = config.folder
    if folder is None and config.resume is None:
        folder = Path("runs") / time.strftime(f"population-digits-%Y%m%d-%H%M%S-seed{config.seed}")
    rung, factor = config.first_rung, config.factor
    page = jaxnn.report.PopulationPage(by=MONITOR, colour="learning_rate")
    try:
        population = fit_population(
            recipe_maker(config),
            draw_knobs(config),
            data,
            epochs=config.epochs,
            batch_size=config.batch_size,
            key=config.seed,
            cohort=config.cohort,
            shrink=factor and successive_halving(factor, first=rung, monitor=MONITOR),
            observers=[jaxnn.report.Progress(), page],
            folder=folder,
            resume=config.resume,
            devices=config.devices,
            settings=plain(asdict(config)),
        )
    except KeyboardInterrupt:
        print(f"interrupted; to resume: --resume {folder or config.resume}, same settings")
        raise
    print_best(population, config, data)
    print_cost(population, config)
    print(f"population  {population.folder}")
    print(f"page        {page.path}")
    return population


def print_best(population: Population, config: Config, data: jaxnn.data.Data) -> None:
    """Print the best settings with what they reached, the best one first."""
    print("setting  val loss  val accuracy  test accuracy  rate     L2       dropout  scale")
    for best, loss in population.ranked(config.best, MONITOR):
        knobs, accuracy = best.config["knobs"], best.history.series("val/accuracy")[-1]
        test = best.evaluate(data.test)["accuracy"]
        print(
            f"{best.config['member']:7}  {loss:8.4f}  {accuracy:12.4f}  {test:13.4f}  "
            f"{knobs['learning_rate']:7.1e}  {knobs['l2']:7.1e}  {knobs['dropout']:7.2f}  "
            f"{knobs['init_scale']:5.2f}"
        )


def print_cost(population: Population, config: Config) -> None:
    """Print what training took, beside the epochs of all settings without halving."""
    epochs, full = int(population.table()["epochs"].sum()), config.members * config.epochs
    seconds = float(np.nanmax(population.history.series("seconds"), axis=1).sum())
    about = population.config["population"]
    print(
        f"cost        {epochs:,} member-epochs in {seconds:.1f} s, {epochs / full:.0%} of the "
        f"{full:,} without halving; {about['devices']} devices, cohorts of {about['cohort']}"
    )


def from_command_line(config: Config) -> None:
    """Let each core of a CPU be a device before JAX begins, then train."""
    check(config)
    spread_over_cores(config.devices)
    main(config)


if __name__ == "__main__":
    run(from_command_line, Config, __doc__)
