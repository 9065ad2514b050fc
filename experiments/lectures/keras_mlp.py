"""Train Keras' multi-layer perceptron: 20 inputs, 64-64-10, SGD with decay and Nesterov.

    python -m experiments.lectures.keras_mlp

Two hidden layers of 64 tanh units with dropout 0.5 each and a softmax over ten classes; the
weights are drawn from U(−0.05, 0.05). Keras' SGD(lr=0.1, decay=1e-6, momentum=0.9,
nesterov=True) is, at update t counted from 0,

    α = 0.1 / (1 + 1e-6·t),    v ← 0.9·v − α·g,    θ ← θ + 0.9·v − α·g,

which is `jaxnn.optim.nesterov(form="current", rate_in_velocity=True)` over
`schedules.inverse_time`. Batches of 16, 20 epochs. The lecture does not say what X_train is;
here it is 1,000 draws from a normal, labelled by the largest of ten random linear functions, and
100 more for the test. With `--labels random` the labels are random, as in Keras' guide.

Cost: 3 to 7 seconds on two cores of an x86 server, the upper end with other work beside it.
Expected: the lecture's rate is too high for its momentum, since 0.1/(1 − 0.9) is a step of 1:
the training loss ends between 4.3 and 4.7, above the log 10 = 2.3 of knowing nothing, and the
test accuracy between 0.40 and 0.60 (seeds 0 to 4). With `--learning-rate 0.01` it is 0.72 to
0.83. With random labels it stays near 0.1, whatever the rate.

Source: lecture L, "Some Code in Keras (Multi-Layer Perceptron)".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import numpy as np

import jaxnn
from experiments.options import check_numbers, check_seed, check_widths
from experiments.program import Devices, run
from jaxnn.arguments import check_knob


@dataclass(frozen=True)
class Config:
    """Keras' multi-layer perceptron."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer."""
    dropout_rate: float | None = 0.5
    """Probability of dropping a hidden unit, in [0, 1); None draws nothing."""
    init_limit: float = 0.05
    """Bound b of the initial weights, which are drawn from U(−b, b), at least 0."""
    learning_rate: float = 0.1
    """Step size α₀ of the first update, at least 0."""
    decay: float = 1e-6
    """Keras' decay k of the rate, at least 0: α₀/(1 + k·t) at update t."""
    momentum: float = 0.9
    """Decay of Nesterov's velocity, in [0, 1]."""
    labels: Literal["linear", "random"] = "linear"
    """Classes by the largest of ten random linear functions of the input, or at random."""
    examples: int = 1000
    """Training examples; there are a tenth as many test examples."""
    batch_size: int = 16
    """Examples of a step."""
    epochs: int = 20
    """Passes over the examples."""
    seed: int = 0
    """Seed of the data, the initial weights, the shuffle and dropout."""
    devices: Devices = None
    """How devices share each batch. N: the first N devices; sharded: all of them, with the
    numbers of one; pmap: all of them, each with its own draws and batch statistics. None: like
    sharded where there are several."""


class Result(NamedTuple):
    """Hold what the program computed."""

    run: jaxnn.Run
    data: jaxnn.data.Data
    first: dict  # parameters before the first update
    test: dict[str, float]  # loss and accuracy


def check(config: Config) -> None:
    """Refuse options before any work."""
    check_widths("hidden", config.hidden)
    check_knob("init_limit", config.init_limit, 0)
    check_knob("learning_rate", config.learning_rate, 0)
    check_knob("decay", config.decay, 0)
    check_knob("momentum", config.momentum, 0, 1)
    check_numbers(config, "examples", "batch_size", "epochs")
    check_seed(config.seed)


def make_data(config: Config) -> jaxnn.data.Data:
    """Draw inputs from a standard normal, and give them classes."""
    rng = np.random.default_rng(config.seed)
    n, n_test = config.examples, max(config.examples // 10, 1)
    x = rng.standard_normal((n + n_test, 20)).astype(jax.dtypes.canonicalize_dtype(float))
    if config.labels == "random":
        y = rng.integers(0, 10, n + n_test)
    else:
        y = (x @ rng.standard_normal((20, 10))).argmax(axis=1)
    y = y.astype(np.int32)
    return jaxnn.data.Data(train={"x": x[:n], "y": y[:n]}, test={"x": x[n:], "y": y[n:]})


def make_recipe(config: Config) -> jaxnn.Recipe:
    """Make the recipe."""

    def uniform(key: jax.Array, shape: tuple[int, ...], dtype: type = float) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -config.init_limit, config.init_limit)

    rate = jaxnn.optim.schedules.inverse_time(config.learning_rate, decay_rate=config.decay)
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP(
            (*config.hidden, 10),
            activation="tanh",
            dropout_rate=config.dropout_rate,
            kernel_init=uniform,
        ),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.nesterov(
            rate, decay=config.momentum, form="current", rate_in_velocity=True
        ),
    )


def main(config: Config) -> Result:
    """Train, and evaluate on the test examples."""
    check(config)
    data, recipe = make_data(config), make_recipe(config)
    state = jaxnn.train.init_state(recipe, config.seed, data.train)
    trained = jaxnn.fit(
        recipe,
        data,
        state=state,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=config.seed,
        devices=config.devices,
        observers=[_say],
    )
    test = trained.evaluate(data.test, batch_size=config.batch_size)
    print(f"test      loss {test['loss']:.4f}  accuracy {test['accuracy']:.4f}")
    return Result(trained, data, state.params, test)


def _say(record: jaxnn.train.EpochRecord) -> None:
    values = record.values
    print(
        f"epoch {record.epoch:2}  loss {values['train/loss']:.4f}  "
        f"accuracy {values['train/accuracy']:.4f}"
    )


if __name__ == "__main__":
    run(main, Config, __doc__)
