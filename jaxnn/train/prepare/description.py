"""What `config.json` says of a run."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from jaxnn._version import __version__
from jaxnn.data.batches import steps_in
from jaxnn.describe import describe
from jaxnn.recipe import build
from jaxnn.train.devices.choose import device_names
from jaxnn.train.loop.program import Program
from jaxnn.train.prepare.setup import Setup
from jaxnn.train.record.layout import fingerprint
from jaxnn.train.step.state import TrainState

__all__ = ["config_of"]


def config_of(
    setup: Setup,
    program: Program,
    state: TrainState,
    recipe: Any,
    key: jax.Array,
    train: Any,
    val: Any,
    examples: int | None,
    steps: int | None = None,
) -> dict[str, Any]:
    """Every setting of a run, as data that JSON can write.

    Args:
      setup: what the user gave.
      program: the static part, its sizes checked.
      state: that the run starts from.
      recipe: the description of the recipe, or None.
      key: root key.
      train, val: the data, or a first batch that stands for it.
      examples: of the training data; None where nobody has counted them.
      steps: of an epoch of a stream where they were given; None: those of the examples.
    """
    placement = program.placement
    return {
        "recipe": recipe,
        "knobs": jax.tree.map(float, state.knobs) if state.knobs else {},
        "key": {
            "impl": str(jax.random.key_impl(key)),
            "data": np.asarray(jax.random.key_data(key)).tolist(),
        },
        "batch_size": program.batch_size,
        "accumulate": program.accumulate,
        "eval_batch_size": program.eval_batch_size,
        "evaluate_every_epochs": setup.evaluate_every_epochs,
        "evaluate_every_steps": setup.evaluate_every_steps,
        "steps_per_epoch": _steps(examples, steps, program.batch_size),
        "train_examples": examples,
        "data": {"train": fingerprint(train), "val": None if val is None else fingerprint(val)},
        "step": describe(setup.step),
        "directions": _directions(program, state),
        "probes": describe(setup.probes),
        "versions": _versions(),
        "devices": device_names(),
        "parallel": None if placement is None else placement.describe(state),
    }


def _steps(examples: int | None, steps: int | None, batch_size: int) -> int | None:
    return steps if steps is not None or examples is None else steps_in(examples, batch_size)


def _directions(program: Program, state: TrainState) -> dict[str, str]:
    """Which of a metric's values is the best, by name; the others are left out."""
    if program.make_recipe is None:
        return {}
    recipe = build(program.make_recipe, state.knobs, state.clock)
    names = [f"{part}/{name}" for part in ("train", "val") for name in (*recipe.measured, "loss")]
    return {name: said for name in sorted(names) if (said := recipe.direction_of(name))}


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    installed = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "jaxnn": __version__, **installed}
