"""Draw the error against the width of a network, through the width that fits the data exactly.

    python -m experiments.lectures.capacity

Networks with one hidden layer of 1 to 400 ReLU units learn 400 handwritten digits, a fifth of
which have a wrong label, and are tested on the 1,397 others with their true labels. For each width
a population trains: six seeds at each of three learning rates of Adam, with the same batches. The
widths are groups of one `fit_populations`, since a width is part of the compiled program. Further
groups, of four widths, fit a curve of one variable, as a network with enough hidden units fits
every continuous one.

Cost: 2 to 5 minutes on two cores of an x86 server, the upper end with other work beside it.
Most of it is compilation: 16 programs, each of which trains 18 networks.
Expected, the mean validation error, with * at the first of these widths that fits the labels:

    hidden units    1      4      6      10     15     22     50     100    400
    rate 1e-3       0.79   0.34   0.22   0.17   0.18   0.18   0.19*  0.17   0.16
    rate 3e-3       0.77   0.35   0.26   0.27   0.27*  0.25   0.20   0.18   0.17
    rate 1e-2       0.76   0.38   0.34   0.34*  0.31   0.26   0.21   0.19   0.17

So at the lower rates it falls to the sweet spot at 10 or 6 units, rises a little until the labels
are fitted, and falls again; the validation loss shows that peak far more clearly, and early
stopping takes most of it away. The curve is fitted with an error of 0.51, 0.34, 0.14 and 0.04 by
2, 4, 8 and 32 units.

Source: lecture L, "Universal approximation theorem", "finding the sweet spot" and
"Over-parametrization" (Belkin et al. 2019); practice Y9.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxnn
from experiments.lectures.capacity_drawing import Fits, Sweep, sections
from experiments.options import check_file, check_numbers, check_seed, check_widths
from experiments.program import run, spread_over_cores
from jaxnn.arguments import check_knob
from jaxnn.data.datasets import read_digits
from jaxnn.keys import stream
from jaxnn.population import Populations, fit_populations
from jaxnn.report import write_album

CLASSES = 10
DIGITS = 1797  # that come with jaxnn
CURVE_RATES = (3e-3, 1e-2, 3e-2)
POINTS, CURVE_BATCH = 400, 50


@dataclass(frozen=True)
class Config:
    """Error against width, through the width that fits the data exactly."""

    widths: tuple[int, ...] = (1, 2, 4, 6, 10, 15, 22, 32, 50, 100, 200, 400)
    """Hidden units of the networks that learn digits, in rising order."""
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates of Adam at each width, above 0."""
    seeds: int = 6
    """Networks of each width and rate, which differ by their initial weights."""
    examples: int = 400
    """Digits that are learned, from 1 to 1,796."""
    wrong_labels: float = 0.2
    """Share of these whose label is replaced by a wrong one, from 0 to 1."""
    epochs: int = 200
    """Passes over the digits that are learned."""
    batch_size: int = 50
    """Digits of a step."""
    curve_widths: tuple[int, ...] = (2, 4, 8, 32)
    """Hidden units of the networks that fit a curve, in rising order."""
    curve_epochs: int = 500
    """Passes of these networks over the 400 points of the curve, at least 1."""
    seed: int = 0
    """Seed of the split, the wrong labels, the initial weights and the shuffle."""
    devices: int | None = None
    """How many devices share the networks of a width; on a CPU, how many cores. None: all."""
    page: Path = Path("runs/lectures/capacity.html")
    """HTML file in which the pictures are written."""


def noisy_digits(config: Config) -> jaxnn.data.Data:
    """Make the data: few digits to learn, some with a wrong label; all others for validation."""
    images, labels = read_digits()
    order = np.asarray(jax.random.permutation(stream(config.seed, "capacity/split"), DIGITS))
    x, y = images.reshape(DIGITS, -1)[order].astype(np.float32), labels[order].astype(np.int32)
    count = config.examples
    wrong = round(config.wrong_labels * count)  # the rows are in random order already
    shift = jax.random.randint(stream(config.seed, "capacity/labels"), (wrong,), 1, CLASSES)
    learned = y[:count].copy()
    learned[:wrong] = (learned[:wrong] + np.asarray(shift)) % CLASSES
    return jaxnn.data.from_parts(
        {"x": x[:count], "y": learned}, {"x": x[count:], "y": y[count:]}, preprocess="standardize"
    )


def digit_recipe(width: int) -> jaxnn.MakeRecipe:
    """Make the function that builds a classifier of this width from its learning rate."""
    return lambda knobs: jaxnn.Recipe(
        model=jaxnn.nn.MLP((width, CLASSES)),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(knobs["rate"]),
    )


def curve_recipe(width: int, steps: int) -> jaxnn.MakeRecipe:
    """Make the function that builds a network of one variable from its learning rate.

    The initial weights and biases place the slopes of the hidden units all over the interval.
    """
    return lambda knobs: jaxnn.Recipe(
        model=jaxnn.nn.MLP(
            (width, 1),
            activation="tanh",
            kernel_init=jaxnn.nn.he_normal(3.0),
            bias_init=jaxnn.nn.uniform(4.0),
        ),
        loss=jaxnn.losses.squared_error,
        optimizer=jaxnn.optim.adam(jaxnn.optim.schedules.cosine(knobs["rate"], steps)),
    )


def train_widths(
    recipes: list[jaxnn.MakeRecipe], rates: tuple[float, ...], config: Config, **settings: Any
) -> Populations:
    """Train a population of all rates and seeds for each recipe, rates outermost."""
    roots = [stream(config.seed, "capacity/member", number) for number in range(config.seeds)]
    members = len(rates) * config.seeds
    devices = min(jax.device_count() if config.devices is None else config.devices, members)
    knobs = {"rate": np.repeat(rates, config.seeds)}
    return fit_populations(
        [(recipe, knobs) for recipe in recipes],
        keys=roots * len(rates),
        key=config.seed,
        cohort=-(-members // devices),  # all of a width at once
        devices=devices,
        progress=False,
        **settings,
    )


def sweep_widths(config: Config) -> Sweep:
    """Train the networks of all widths on digits."""
    data = noisy_digits(config)
    trained = train_widths(
        [digit_recipe(width) for width in config.widths],
        config.rates,
        config,
        data=data,
        epochs=config.epochs,
        batch_size=config.batch_size,
        evaluate_every_epochs=max(config.epochs // 40, 1),
    )
    found = []
    for population in trained:
        table = population.table()
        train = 1 - population.evaluate(data.train)["accuracy"]
        val, lowest = 1 - table["val/accuracy"], 1 - table["best val/accuracy"]
        found.append((train, val, lowest, table["val/loss"]))
    shape = (len(config.widths), len(config.rates), config.seeds)
    return Sweep(*(np.reshape(column, shape) for column in zip(*found, strict=True)))


def fit_curve(config: Config) -> Fits:
    """Fit a curve of one variable with networks of all widths for curves."""
    x = np.linspace(-1, 1, POINTS, dtype=np.float32)
    y = np.sin(2 * np.pi * x) + 0.5 * np.cos(5 * np.pi * x)
    steps = config.curve_epochs * (POINTS // CURVE_BATCH)
    trained = train_widths(
        [curve_recipe(width, steps) for width in config.curve_widths],
        CURVE_RATES,
        config,
        data={"x": x[:, None], "y": y[:, None]},
        epochs=config.curve_epochs,
        batch_size=CURVE_BATCH,
    )
    outputs = np.stack([population.predict(x[:, None])[..., 0] for population in trained])
    errors = np.sqrt(np.mean((outputs - y) ** 2, axis=-1))  # (widths, members)
    best = np.nanargmin(errors, axis=1)
    widths = np.arange(len(best))
    return Fits(x, y, outputs[widths, best], errors[widths, best])


def check(config: Config) -> None:
    """Refuse options that nothing else refuses before it begins to work."""
    check_seed(config.seed)
    check_numbers(config, "seeds", "examples", "epochs", "batch_size", "curve_epochs", "devices")
    for name in ("widths", "curve_widths", "rates"):
        values = getattr(config, name)
        if not values or list(values) != sorted(set(values)):
            raise ValueError(f"{name} must be in rising order, at least one, got {values}")
    check_widths("widths", config.widths)
    check_widths("curve_widths", config.curve_widths)
    for rate in config.rates:
        check_knob("rates", rate, 0, low_open=True)
    check_knob("wrong_labels", config.wrong_labels, 0, 1)
    if config.examples >= DIGITS:
        raise ValueError(f"examples must be below {DIGITS}, got {config.examples}")
    if config.batch_size > config.examples:
        raise ValueError(
            f"batch_size must be at most examples, {config.examples}, got {config.batch_size}"
        )
    if (config.devices or 0) > (members := len(config.rates) * config.seeds):
        raise ValueError(
            f"devices must be at most rates times seeds, {members}, got {config.devices}"
        )
    check_file("page", config.page)


def main(config: Config) -> tuple[Sweep, Fits]:
    """Train all networks, draw them, and return what they reach."""
    check(config)
    sweep, fits = sweep_widths(config), fit_curve(config)
    print_sweep(sweep, config)
    for width, error in zip(config.curve_widths, fits.errors, strict=True):
        print(f"curve, {width:3} hidden units: error {error:.4f}")
    page = write_album(config.page, "Capacity", sections(sweep, fits, config))
    print(f"page  {page}")
    return sweep, fits


def print_sweep(sweep: Sweep, config: Config) -> None:
    """Print training and validation errors by width and rate, means over the seeds."""
    print("error of training / validation, mean over seeds")
    print("width" + "".join(f"    rate {rate:<9.0e}" for rate in config.rates))
    train, val = sweep.train.mean(axis=-1), sweep.val.mean(axis=-1)
    for width, *errors in zip(config.widths, train, val, strict=True):
        cells = [f"{t:.3f} / {v:.3f}" for t, v in zip(*errors, strict=True)]
        print(f"{width:5}" + "".join(f"    {cell:14}" for cell in cells))


def from_command_line(config: Config) -> None:
    """Let each core of a CPU be a device before JAX begins, then train."""
    check(config)
    spread_over_cores(config.devices)
    main(config)


if __name__ == "__main__":
    run(from_command_line, Config, __doc__)
