"""Fit TensorFlow's line: find y = 0.1x + 0.3 from a hundred of its points.

    python -m experiments.lectures.tensorflow_line

One weight, drawn from U(−1, 1), and one bias, at first 0; the mean squared error over all
points, gradient descent at 0.5, 201 steps. Prints weight and bias after every twentieth step,
as the lecture's program does.

Cost: 2 to 3 seconds on two cores of an x86 server, the upper end with other work beside it;
nearly all of it is import and compilation.
Expected: after 201 steps W = 0.1 and b = 0.3 to six digits.

Source: lecture L, "Some Code in Tensorflow (Linear Regression)".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

import jaxnn
from experiments.options import check_numbers, check_seed
from experiments.program import Devices, run


@dataclass(frozen=True)
class Config:
    """TensorFlow's line."""

    points: int = 100
    """Examples, all of them in every step; x is uniform between 0 and 1."""
    steps: int = 201
    """Updates, at least 1."""
    learning_rate: float = 0.5
    """Step size α, at least 0."""
    every: int = 20
    """Steps between two printed lines, at least 1."""
    seed: int = 0
    """Seed of the points and of the initial weight."""
    devices: Devices = None
    """How devices share each batch. N: the first N devices; sharded: all of them, with the
    numbers of one; pmap: all of them, each with its own draws and batch statistics. None: like
    sharded where there are several."""


class Result(NamedTuple):
    """Hold what the program computed."""

    x: np.ndarray  # (points, 1)
    first: float  # weight before the first step; the bias is 0
    w: np.ndarray  # (steps,) after each step
    b: np.ndarray  # (steps,)


def uniform(key: jax.Array, shape: tuple[int, ...], dtype: type = float) -> jax.Array:
    """Draw initial weights from U(−1, 1)."""
    return jax.random.uniform(key, shape, dtype, -1, 1)


def main(config: Config) -> Result:
    """Fit the line, and print weight and bias while training."""
    check_numbers(config, "points", "steps", "every")
    check_seed(config.seed)
    x = np.random.default_rng(config.seed).random((config.points, 1)).astype(np.float32)
    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((1,), kernel_init=uniform),
        loss=jaxnn.losses.squared_error,
        optimizer=jaxnn.optim.sgd(config.learning_rate),
    )
    batch = {"x": x, "y": x * np.float32(0.1) + np.float32(0.3)}
    state = jaxnn.train.init_state(recipe, config.seed, batch)
    w, b = [], []
    # All points are one batch, so that an epoch is a step.
    for epoch in jaxnn.train.each_epoch(
        recipe,
        batch,
        state=state,
        epochs=config.steps,
        batch_size=config.points,
        key=config.seed,
        devices=config.devices,
    ):
        line = epoch.state.params["Dense_0"]
        w.append(line["kernel"].item())
        b.append(line["bias"].item())
        step = epoch.record.step - 1
        if step % config.every == 0:
            print(f"{step:3}  W {w[-1]:.7f}  b {b[-1]:.7f}")
    first = state.params["Dense_0"]["kernel"].item()
    return Result(x, first, np.array(w), np.array(b))


if __name__ == "__main__":
    run(main, Config, __doc__)
