"""Measure what rematerialization saves of the temporary memory of a chunk of training.

    python -m experiments.benchmarks.alone.remat_memory

compiles the chunk of ResNet-20 and of a deep dense network as it is, with `Recipe(remat=True)`,
and with `jax.checkpoint` around the whole model, and prints the temporary memory that XLA plans
for each. Nothing is trained, so the numbers are the same in every run.

Cost: two minutes on two CPU cores. Expected with jaxlib 0.12 on CPU, for ResNet-20: 162 MB as it
is, 82 with remat, 163 with `jax.checkpoint`; up to jaxlib 0.10 all three alike, as XLA for CPU
removes the second computation there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import jaxnn
from experiments.benchmarks.tasks import CLASSES, RATE
from experiments.options import chosen_rows
from experiments.program import run
from jaxnn import nn
from jaxnn.train.loop.chunk import train_chunk
from jaxnn.train.loop.tally import start_tally
from jaxnn.train.prepare.prepare import prepare
from jaxnn.train.prepare.setup import Setup

__all__ = ["temporary_bytes"]

NETWORKS: Mapping[str, tuple[Any, tuple[int, ...], int]] = {  # model, input shape, batch size
    "ResNet-20, remat": (nn.ResNet(CLASSES, depth=20), (32, 32, 3), 64),
    "16 layers of 256, remat": (nn.MLP((256,) * 16 + (CLASSES,)), (64,), 2048),
}


def temporary_bytes(model: Any, shape: tuple[int, ...], batch: int, *, remat: bool) -> int:
    """The temporary memory of the compiled chunk of a network, in bytes.

    Args:
      model: the network.
      shape: of an input.
      batch: examples of a step.
      remat: of the recipe.
    """
    recipe = jaxnn.Recipe(
        model, jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(RATE), remat=remat
    )
    data = {"x": np.zeros((batch, *shape), np.float32), "y": np.zeros(batch, np.int32)}
    run = prepare(Setup(recipe=recipe, data=data, batch_size=batch, key=0, devices=1))
    (chunk,) = run.train.chunks(run.key, 0, None)
    tally = start_tally(run.program, run.state, chunk.data, chunk.capacity)
    lowered = train_chunk.lower(
        run.program, run.state, tally, chunk.data, chunk.order, np.int32(0), np.int32(1)
    )
    return lowered.compile().memory_analysis().temp_size_in_bytes


def checkpointed(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The model as a pair (init, apply) with `jax.checkpoint` around all of it."""
    form = nn.as_functional(model)

    def apply(params: Any, x: Any, *, key: Any, state: Any, train: bool, weight: Any) -> Any:
        def forward(params: Any, state: Any, x: Any) -> Any:
            return form.apply(params, state, x, train=train, keys=lambda name: key, weight=weight)

        return (jax.checkpoint(forward) if train else forward)(params, state, x)

    return (lambda key, x: form.init(key, x)), apply


@dataclass(frozen=True)
class Config:
    """Compile networks with and without rematerialization."""

    only: tuple[str, ...] = ()
    """Only networks whose name contains one of these."""


def main(config: Config) -> dict[str, dict[str, int]]:
    """Compile, and print a line per network."""
    found = {}
    for name in chosen_rows(config.only, NETWORKS):
        model, shape, batch = NETWORKS[name]
        found[name] = {
            "as it is": temporary_bytes(model, shape, batch, remat=False),
            "remat": temporary_bytes(model, shape, batch, remat=True),
            "jax.checkpoint": temporary_bytes(checkpointed(model), shape, batch, remat=False),
        }
        values = ", ".join(f"{way} {size / 1e6:.0f} MB" for way, size in found[name].items())
        print(f"{name}: {values}", flush=True)
    return found


if __name__ == "__main__":
    run(main, Config, __doc__, keeps_compiled=False)
