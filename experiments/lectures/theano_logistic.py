"""Train Theano's logistic regression: random data, full batch, 10,000 steps.

    python -m experiments.lectures.theano_logistic

400 samples of 784 features, drawn from a normal, with coin flips as targets; the cost is the
mean cross-entropy plus 0.01·Σw², and the rate 0.1. The weights start at a standard normal,
the bias, which is not penalized, at 0. All arrays are float64, like Theano's dmatrix and
dvector: `main` turns 64-bit types on for itself alone, and restores the caller's setting.

The lecture writes the cross-entropy with log(1 / (1 + exp(−z))), which overflows for the |z|
of up to a hundred that the first weights give; Theano replaces it by the softplus of z when it
compiles, and so does this program, by hand.

Cost: 5 to 25 seconds on two cores of an x86 server, the upper end with other work beside it.
Expected: from a cost of 19.668 (cross-entropy 11.535) through 7.231 after 100 steps and 0.2226
after 1000 down to 0.1280, the minimum, where the cross-entropy has risen again to 0.0562.
Every sample is then classified right, as 784 weights can do for 400 coin flips.

Source: lecture L, "Some Theano Code (Logistic Regression)".
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

import jaxnn
from experiments.options import check_numbers, check_seed
from experiments.program import Devices, run
from jaxnn.arguments import check_knob


@dataclass(frozen=True)
class Config:
    """Theano's logistic regression."""

    samples: int = 400
    """Examples, all of them in every step."""
    features: int = 784
    """Inputs of an example."""
    steps: int = 10_000
    """Updates, at least 1."""
    learning_rate: float = 0.1
    """Step size α, at least 0."""
    penalty: float = 0.01
    """Factor λ of λΣw² in the cost, at least 0."""
    seed: int = 0
    """Seed of the data and of the initial weights."""
    devices: Devices = None
    """How devices share each batch. N: the first N devices; sharded: all of them, with the
    numbers of one; pmap: all of them, each with its own draws and batch statistics. None: like
    sharded where there are several."""


class Logistic(nn.Module):
    """z = x·w + b, the logit of the probability that the target is 1."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        w = self.param("w", nn.initializers.normal(1.0), (x.shape[-1],), x.dtype)
        b = self.param("b", nn.initializers.zeros, (), x.dtype)
        return x @ w + b


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Compute −y log p − (1 − y) log(1 − p), p = 1/(1 + e^−z), as softplus(z) − y·z."""
    return jax.nn.softplus(logits) - targets * logits


def right(logits: jax.Array, targets: jax.Array, weight: Any) -> jaxnn.metrics.Pair:
    """Compute the metric "accuracy": the prediction is 1 where p > ½."""
    hits = (logits > 0) == (targets > 0.5)
    return jaxnn.metrics.weighted(hits.astype(logits.dtype), weight)


class Result(NamedTuple):
    """Hold what the program computed, in float64."""

    x: np.ndarray  # (samples, features)
    y: np.ndarray  # (samples,)
    first: dict[str, np.ndarray]  # w (features,), b ()
    last: dict[str, np.ndarray]
    costs: np.ndarray  # (steps,) before each update, with the penalty
    losses: np.ndarray  # (steps,) of these the cross-entropy
    accuracy: float  # of the last parameters


def main(config: Config) -> Result:
    """Train, and print the cost while training."""
    check_numbers(config, "samples", "features", "steps")
    check_knob("penalty", config.penalty, 0)
    check_seed(config.seed)
    with _float64():
        rng = np.random.default_rng(config.seed)
        x = rng.standard_normal((config.samples, config.features))
        y = rng.integers(0, 2, config.samples).astype(float)
        result = _train(config, x, y)
    for step in sorted({0, 1, 10, 100, 1000, config.steps - 1}):
        if step < config.steps:
            cost, loss = result.costs[step], result.losses[step]
            print(f"step {step:5}  cost {cost:.10f}  cross-entropy {loss:.10f}")
    print(f"accuracy    {result.accuracy:.4f}")
    return result


def _float64() -> AbstractContextManager[Any]:
    """Turn on 64-bit types inside `with` only."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64  # before JAX 0.8

    return enable_x64(True)


def _train(config: Config, x: np.ndarray, y: np.ndarray) -> Result:
    recipe = jaxnn.Recipe(
        model=Logistic(),
        loss=cross_entropy,
        optimizer=jaxnn.optim.sgd(config.learning_rate),
        # Our L2 is ½λ‖w‖². A vector would pass for a bias, so that w is named.
        regularizer=jaxnn.regularizers.l2(2 * config.penalty, mask="^w$"),
        metrics={"accuracy": right},
    )
    batch = {"x": x, "y": y}
    state = jaxnn.train.init_state(recipe, config.seed, batch)
    trained = jaxnn.fit(
        recipe,
        batch,
        state=state,
        epochs=config.steps,
        batch_size=config.samples,
        key=config.seed,
        devices=config.devices,
    )
    losses = trained.history.series("train/loss")
    return Result(
        x,
        y,
        first=jax.tree.map(np.asarray, state.params),
        last=jax.tree.map(np.asarray, trained.state.params),
        costs=losses + trained.history.series("train/penalty"),
        losses=losses,
        accuracy=trained.evaluate(batch)["accuracy"],
    )


if __name__ == "__main__":
    run(main, Config, __doc__)
