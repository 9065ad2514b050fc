"""Measure what dropout costs a training step, with jaxnn's draws and with Flax's.

    python -m experiments.benchmarks.alone.dropout_draws

trains each network in one compiled loop of steps without dropout, with `jaxnn.nn.Dropout`, with
`flax.linen.Dropout`, and with the latter once more, in turn. The measure is how much longer a
step takes than without dropout: jaxnn's share of Flax's. Flax's share of Flax's says what this
machine cannot tell apart.

Cost: 1 to 2 minutes on two cores of an x86 server.
Expected: shares of a half and less, that is, at least twice as fast.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax

import jaxnn
from experiments.options import check_numbers, chosen_rows
from experiments.program import run
from jaxnn.keys import stream

NETWORKS = {
    "64-100-100-10, batch 64": ((64, 100, 100, 10), 64, 400),
    "784-512-512-10, batch 128": ((784, 512, 512, 10), 128, 60),
}
"""Widths, batch size, and steps of one timing."""

LAYERS: list[Callable[[], Callable[[jax.Array], jax.Array]] | None] = [
    None,
    lambda: lambda x: jaxnn.nn.Dropout(0.5)(x, train=True),
    lambda: nn.Dropout(0.5, deterministic=False),
    lambda: nn.Dropout(0.5, deterministic=False),
]
"""Without, ours, Flax's and Flax's again."""


@dataclass(frozen=True)
class Config:
    """Time training steps without dropout, with ours, and with Flax's."""

    alternations: int = 25
    """Timings of each, taken in turn."""
    only: tuple[str, ...] = ()
    """Only networks whose name contains one of these."""


class Network(nn.Module):
    """An MLP whose hidden layers are followed by whatever `make_dropout` makes."""

    widths: tuple[int, ...]
    make_dropout: Callable[[], Callable[[jax.Array], jax.Array]] | None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths[:-1]:
            x = nn.relu(nn.Dense(width)(x))
            if self.make_dropout is not None:
                x = self.make_dropout()(x)
        return nn.Dense(self.widths[-1])(x)


def main(config: Config) -> dict[str, tuple[float, float]]:
    """Print the table; return by network the medians of our and Flax's cost over Flax's."""
    check_numbers(config, "alternations")
    chosen = chosen_rows(config.only, NETWORKS)
    print(
        f"{'network':26} {'µs without':>10} {'ours':>7} {'Flax':>7} {'times':>6} {'share':>6}  "
        f"{'spread':13} {'A/A':>5}  spread"
    )
    results = {}
    for name in chosen:
        results[name] = _compare(name, *NETWORKS[name], config.alternations)
    return results


def _compare(
    name: str, widths: tuple[int, ...], batch: int, steps: int, alternations: int
) -> tuple[float, float]:
    runs = [_Run(Network(widths[1:], layer), widths, batch, steps) for layer in LAYERS]
    times = np.array([[run.time() for run in runs] for _ in range(alternations)])
    ours, flax, again = (times[:, 1:] - times[:, :1]).T
    share, itself = float(np.median(ours / flax)), float(np.median(again / flax))
    print(
        f"{name:26} {1e6 * np.median(times[:, 0]):10.1f} {1e6 * np.median(ours):+7.1f} "
        f"{1e6 * np.median(flax):+7.1f} {1 / share:6.2f} {share:6.3f}  {_spread(ours / flax)} "
        f"{itself:5.2f}  {_spread(again / flax)}"
    )
    return share, itself


def _spread(ratios: np.ndarray) -> str:
    low, high = np.quantile(ratios, (0.25, 0.75))
    return f"{low:6.3f}–{high:.3f}"


class _Run:
    """Run a compiled loop of training steps over eight batches on the device."""

    def __init__(self, model: Network, widths: tuple[int, ...], batch: int, steps: int) -> None:
        root = jax.random.key(0)
        x = jax.random.normal(root, (8, batch, widths[0]))
        y = jax.random.randint(root, (8, batch), 0, widths[-1])
        tx = jaxnn.optim.adam(1e-3)

        def loss(params: Any, i: jax.Array) -> jax.Array:
            rngs = {"dropout": stream(root, "dropout", i)}
            logits = model.apply(params, x[i % 8], rngs=rngs)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y[i % 8]).mean()

        def step(i: jax.Array, state: tuple) -> tuple:
            params, opt_state = state
            updates, opt_state = tx.update(jax.grad(loss)(params, i), opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        params = model.init({"params": root, "dropout": root}, x[0])
        self._state = (params, tx.init(params))
        self._run = jax.jit(lambda state: jax.lax.fori_loop(0, steps, step, state))
        self._steps = steps
        self.time()

    def time(self) -> float:
        """Return the seconds of one step, the least of three: other processes can only add time."""
        return min(self._time_once() for _ in range(3)) / self._steps

    def _time_once(self) -> float:
        start = time.perf_counter()
        jax.block_until_ready(self._run(self._state))
        return time.perf_counter() - start


if __name__ == "__main__":
    run(main, Config, __doc__, keeps_compiled=False)
