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
        "steps_per_epoch": None if examples is None else steps_in(examples, program.batch_size),
        "train_examples": examples,
        "data": {"train": fingerprint(train), "val": None if val is None else fingerprint(val)},
        "step": describe(setup.step),
        "probes": describe(setup.probes),
        "versions": _versions(),
        "devices": device_names(),
        "parallel": None if placement is None else placement.describe(state),
    }


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
    installed = {name: version(name) for name in packages}
    return {"python": platform.python_version(), "jaxnn": __version__, **installed}
