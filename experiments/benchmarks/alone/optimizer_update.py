"""Compare one update of each optimizer with its Optax twin: time and memory.

    python -m experiments.benchmarks.alone.optimizer_update

updates 200 leaves, 10 million parameters in all, in one compiled call, alternating between
jaxnn, Optax, and Optax once more: the last ratio is what this machine cannot tell apart.

Cost: 3 to 6 minutes on two cores of an x86 server.
Expected: ratios of 1.05 at most, and no more memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.options import check_numbers, chosen_rows
from experiments.program import run
from jaxnn import optim

TWINS = {
    "sgd": (optim.sgd(1e-2), optax.sgd(1e-2)),
    "momentum": (optim.momentum(1e-2, 0.9), optax.sgd(1e-2, 0.9)),
    "nesterov (current)": (
        optim.nesterov(1e-2, 0.9, form="current"),
        optax.sgd(1e-2, 0.9, nesterov=True),
    ),
    "adagrad": (optim.adagrad(1e-2), optax.adagrad(1e-2)),
    "rmsprop": (optim.rmsprop(1e-3), optax.rmsprop(1e-3)),
    "rmsprop, centered, momentum": (
        optim.rmsprop(1e-3, centered=True, momentum=0.9),
        optax.rmsprop(1e-3, centered=True, momentum=0.9),
    ),
    "adam": (optim.adam(1e-3), optax.adam(1e-3)),
    "amsgrad": (optim.adam(1e-3, amsgrad="corrected"), optax.amsgrad(1e-3)),
    "nadam": (optim.nadam(1e-3), optax.nadam(1e-3)),
    "adamw": (optim.adamw(1e-3, mask="all"), optax.adamw(1e-3)),
    "clip_by_global_norm, sgd": (
        optax.chain(optim.clip_by_global_norm(1.0), optim.sgd(1e-2)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1e-2)),
    ),
}


@dataclass(frozen=True)
class Config:
    """Time one update of each optimizer against its Optax twin."""

    leaves: int = 200
    """Arrays that the parameters are made of."""
    parameters: int = 10_000_000
    """Numbers in all of them, at least 50 for each."""
    alternations: int = 25
    """Timings of each, taken in turn."""
    only: tuple[str, ...] = ()
    """Only optimizers whose name contains one of these."""


def main(config: Config) -> dict[str, tuple[float, float, float]]:
    """Print the table; return medians of the ratios: time, Optax against itself, memory."""
    check_numbers(config, "leaves", "parameters", "alternations")
    chosen = chosen_rows(config.only, TWINS)
    columns = config.parameters // config.leaves // 50
    if columns < 1:
        raise ValueError(
            f"parameters must be at least 50 a leaf, {50 * config.leaves}, got {config.parameters}"
        )
    keys = jax.random.split(jax.random.key(0), config.leaves)
    params = {f"{i:03d}": jax.random.normal(key, (50, columns)) for i, key in enumerate(keys)}
    print(
        f"{'optimizer':30} {'ms':>7} {'ratio':>6}  {'spread':13} {'A/A':>6}  spread        memory"
    )
    results = {}
    for name in chosen:
        results[name] = _compare(name, *TWINS[name], params, config.alternations)
    return results


def _compare(
    name: str,
    ours: optax.GradientTransformation,
    theirs: optax.GradientTransformation,
    params: dict[str, jax.Array],
    alternations: int,
) -> tuple[float, float, float]:
    grads = jax.tree.map(lambda p: 0.1 * p + 0.01, params)
    runs = [_Run(tx, params, grads) for tx in (ours, theirs, theirs)]
    times = np.array([[run.time() for run in runs] for _ in range(alternations)])
    ratio, itself = times[:, 0] / times[:, 1], times[:, 2] / times[:, 1]
    memory = runs[0].memory / runs[1].memory
    print(
        f"{name:30} {1e3 * np.median(times[:, 0]):7.1f} {np.median(ratio):6.3f}  "
        f"{_spread(ratio)} {np.median(itself):6.3f}  {_spread(itself)} {memory:6.3f}"
    )
    return float(np.median(ratio)), float(np.median(itself)), memory


def _spread(ratios: np.ndarray) -> str:
    low, high = np.quantile(ratios, (0.25, 0.75))
    return f"{low:.3f}–{high:.3f}"


class _Run:
    """Run a compiled update whose buffers each call donates to the next."""

    def __init__(
        self, tx: optax.GradientTransformation, params: dict[str, jax.Array], grads: object
    ) -> None:
        def step(state: tuple, grads: object) -> tuple:
            params, opt_state = state
            updates, opt_state = tx.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        self._grads = grads
        self._state = jax.tree.map(jnp.copy, (params, tx.init(params)))
        compiled = jax.jit(step, donate_argnums=0).lower(self._state, grads).compile()
        self._step = partial(compiled)
        analysis = compiled.memory_analysis()
        self.memory = (
            analysis.temp_size_in_bytes
            + analysis.argument_size_in_bytes
            + analysis.output_size_in_bytes
            - analysis.alias_size_in_bytes
        )
        self.time()

    def time(self) -> float:
        start = time.perf_counter()
        self._state = jax.block_until_ready(self._step(self._state, self._grads))
        return time.perf_counter() - start


if __name__ == "__main__":
    run(main, Config, __doc__, keeps_compiled=False)
