"""Tune the L2 strength of each layer, and the learning rate, by their exact derivatives.

    python -m experiments.lectures.hypergradients

A network 64-32-32-10 with tanh trains on 200 of the digits, too few for it, by 300 steps of
momentum. The derivative of the validation loss after the last step by every knob, through all of
these steps, comes from one forward pass; Adam then moves the logarithms of the knobs, and the
training begins again from the same initial weights with the same batches.

Cost: 6 to 16 seconds on two cores of an x86 server, compilation included.
Expected: in 60 updates the validation loss falls from 0.311 to 0.200 and the test loss from 0.345
to 0.250; the test accuracy rises from 0.902 to 0.922. The rate has grown from 0.02 to 0.5, and the
strengths have parted: the first layer's is three times, the second's a quarter of the 0.001 that
they started from, the third's twice. With seeds 1 to 3 the validation loss falls by 12 to 16 %, and
the test loss in two of the three; where validation data are as few as here, the knobs can fit them
too well.

Source: Franceschi et al. 2017, "Forward and Reverse Gradient-Based Hyperparameter Optimization";
lecture N, L2 regularization.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from experiments.lectures.drawing import LINES
from experiments.options import check_file, check_numbers, check_seed
from experiments.program import run
from jaxnn.arguments import check_knob
from jaxnn.data.batches import epoch_order, steps_in, take
from jaxnn.population.hypergradient import hypergradient
from jaxnn.report import write_album
from jaxnn.report.style import COLOURS, plain_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS = ("Dense_0", "Dense_1", "Dense_2")


@dataclass(frozen=True)
class Config:
    """Tune the rate and the L2 strength of each layer on the digits."""

    updates: int = 60
    """Updates of the knobs, at least 1."""
    steps: int = 300
    """Training steps that are differentiated through, at least 1."""
    rows: int = 200
    """Training examples, at least 1."""
    batch_size: int = 50
    """Examples of a step, at least 1 and at most the training examples."""
    learning_rate: float = 0.02
    """Rate of the network's training at the start, above 0."""
    l2: float = 1e-3
    """Strength of every layer at the start, above 0."""
    knob_rate: float = 0.1
    """Rate of Adam on the natural logarithms of the knobs, at least 0."""
    seed: int = 0
    """Seed of the split, the initial weights and the batches."""
    page: Path = Path("runs/lectures/hypergradients.html")
    """HTML file in which the pictures are written."""


def make_recipe(knobs: Any) -> jaxnn.Recipe:
    """The network and its training by the rate and three strengths."""
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP((32, 32, 10), activation="tanh"),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.momentum(knobs["lr"], 0.9),
        regularizer=jaxnn.regularizers.per_layer(jaxnn.regularizers.l2, knobs["l2"]),
    )


class Result(NamedTuple):
    """Hold what each update found; arrays have one entry before each update and one at the end."""

    knobs: dict[str, np.ndarray]  # "lr" and the layers
    val: dict[str, np.ndarray]  # "loss" and "accuracy"
    test: dict[str, np.ndarray]


def main(config: Config) -> Result:
    """Tune, print the knobs and the losses, draw them."""
    check_numbers(config, "updates", "steps", "rows", "batch_size")
    for name in ("learning_rate", "l2"):
        check_knob(name, getattr(config, name), 0, low_open=True)
    check_knob("knob_rate", config.knob_rate, 0)
    check_seed(config.seed)
    check_file("page", config.page)
    key = jax.random.key(config.seed)
    digits = jaxnn.data.digits(key=key)
    if not config.batch_size <= config.rows <= len(digits.train["y"]):
        raise ValueError(
            f"rows must be from batch_size, {config.batch_size}, to {len(digits.train['y'])}, "
            f"got {config.rows}"
        )
    train = jax.tree.map(lambda leaf: jnp.asarray(leaf[: config.rows]), digits.train)
    batches = draw_batches(train, config.steps, config.batch_size, key)
    logs = jax.tree.map(
        lambda knob: jnp.log(jnp.asarray(knob, float)),
        {"lr": config.learning_rate, "l2": dict.fromkeys(LAYERS, config.l2)},
    )
    optimizer = jaxnn.optim.adam(config.knob_rate)
    opt_state = optimizer.init(logs)
    path = [logs]
    for update in range(config.updates):
        knobs = jax.tree.map(jnp.exp, logs)
        loss, slopes = hypergradient(make_recipe, knobs, None, batches, digits.val, key=key)
        # By the logarithm of a knob, the derivative is the knob times that by the knob.
        slopes = jax.tree.map(jnp.multiply, slopes, knobs)
        changes, opt_state = optimizer.update(slopes, opt_state, logs)
        logs = optax.apply_updates(logs, changes)
        path.append(logs)
        if update % 10 == 0:
            _print(update, loss, knobs)
    tried = jax.tree.map(lambda *values: jnp.exp(jnp.stack(values)), *path)
    val, test = (
        jax.device_get(measure(tried, key, batches, part)) for part in (digits.val, digits.test)
    )
    _print(config.updates, val["loss"][-1], jax.tree.map(lambda values: values[-1], tried))
    for name, of in {"validation": val, "test": test}.items():
        print(
            f"{name:10}  loss {of['loss'][0]:.4f} to {of['loss'][-1]:.4f}  "
            f"accuracy {of['accuracy'][0]:.4f} to {of['accuracy'][-1]:.4f}"
        )
    columns = {"lr": tried["lr"], **tried["l2"]}
    result = Result({name: np.asarray(of) for name, of in columns.items()}, val, test)
    print(f"page  {draw(result, config)}")
    return result


def draw_batches(train: Any, steps: int, batch_size: int, key: jax.Array) -> Any:
    """Draw the batches of all steps, epoch by epoch, as `jaxnn.fit` does: (steps, rows, …)."""
    n = len(train["y"])
    per_epoch = steps_in(n, batch_size)
    numbers = jnp.arange(steps)

    def batch(number: jax.Array) -> Any:
        order = epoch_order(key, number // per_epoch, n, batch_size)
        return take(train, order, number % per_epoch, batch_size)

    return jax.jit(jax.vmap(batch))(numbers)


@jax.jit
def measure(tried: Any, key: jax.Array, batches: Any, part: Any) -> dict[str, jax.Array]:
    """Train with each of the tried knobs, (tried,), and evaluate on a part of the data."""

    def one(knobs: Any) -> dict[str, jax.Array]:
        first = jax.tree.map(lambda leaf: leaf[0], batches)
        state = jaxnn.train.init_state(make_recipe, key, first, knobs)
        step = lambda state, batch: (jaxnn.train.train_step(make_recipe, state, batch)[0], None)  # noqa: E731
        state, _ = jax.lax.scan(step, state, batches)
        sums = jaxnn.train.eval_step(make_recipe, state, part)
        return {name: jaxnn.metrics.result(sums[name]) for name in ("loss", "accuracy")}

    return jax.lax.map(one, tried)


def _print(update: int, loss: Any, knobs: Any) -> None:
    strengths = "  ".join(f"{float(knobs['l2'][layer]):8.2e}" for layer in LAYERS)
    rate = float(knobs["lr"])
    print(f"update {update:3}  validation loss {loss:.4f}  rate {rate:.4f}  L2 {strengths}")


def draw(result: Result, config: Config) -> Path:
    """Write the page."""
    how = (
        f"A network trains on {config.rows} digits for {config.steps} steps. The derivative of "
        "the validation loss behind them, by the rate and by each layer's L2 strength, goes "
        "through all of the steps; Adam moves the logarithms of the knobs by it, and the training "
        "begins again. The knobs are fitted to the validation data, so its loss flatters; the "
        "test data have no part in it."
    )
    return write_album(
        config.page, "Hypergradients", [("Losses and knobs", how, [losses(result), knobs(result)])]
    )


def losses(result: Result) -> Figure:
    """Draw the losses by update."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained", label="losses by update")
        axes = figure.subplots()
        axes.plot(result.val["loss"], color=COLOURS["val"], label="validation")
        axes.plot(result.test["loss"], color=LINES[2], label="test")
        axes.set(xlabel="update of the knobs", ylabel="loss after the last step")
        axes.legend(fontsize="small")
    return figure


def knobs(result: Result) -> Figure:
    """Draw the knobs by update, on a logarithmic axis."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained", label="knobs by update")
        axes = figure.subplots()
        for (name, values), colour in zip(result.knobs.items(), LINES, strict=False):
            label = "rate" if name == "lr" else f"L2 of {name}"
            axes.plot(values, color=colour, label=label)
        axes.set(yscale="log", xlabel="update of the knobs")
        axes.legend(fontsize="small")
    return figure


if __name__ == "__main__":
    run(main, Config, __doc__)
