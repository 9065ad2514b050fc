"""`Run`: a trained network with its record, and `load`, which reads one from its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_positive_int
from jaxnn.data.batches import in_order, size, steps_in, take
from jaxnn.data.validate import check_batch
from jaxnn.describe import describe, differences
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build
from jaxnn.train.control.protocol import finish
from jaxnn.train.devices.placement import Placement
from jaxnn.train.devices.transfer import fetch
from jaxnn.train.loop.evaluation import evaluate
from jaxnn.train.prepare.check_data import check_labels, eval_rows
from jaxnn.train.record.folder import RunFolder
from jaxnn.train.record.history import History
from jaxnn.train.record.layout import from_layout
from jaxnn.train.step.state import TrainState, init_state
from jaxnn.train.step.step import predict_step

__all__ = ["Run", "load"]

_ROWS = 512  # of a batch where no gradient is needed and the user does not say


@dataclass
class Run:
    """A trained network with its record.

    Attributes:
      state: the last state, with the best weights in place where a controller keeps them. A
        `TrainState`, or your own state where `fit` ran your own step.
      history: what was measured.
      config: every setting, as in `config.json`.
      folder: the run's folder, or None.
      make_recipe: builds the recipe from `state.knobs`; None for a state of your own.
      placement: where the state lies on several devices; None for one device.
    """

    state: Any
    history: History
    config: dict[str, Any]
    folder: Path | None
    make_recipe: MakeRecipe | None
    placement: Placement | None = None

    def predict(self, x: Any, *, batch_size: int = _ROWS) -> Any:
        """Compute the model's outputs for any number of inputs, with dropout off.

        Args:
          x: (n, …), or a pytree of such arrays where the model takes one; preprocessed as
            the training inputs were.
          batch_size: rows computed at once.

        Returns:
          NumPy arrays (n, …); for a classifier, logits.

        Raises:
          ValueError: no rows, NaN or Inf, leaves of different length.
        """
        make_recipe = self._recipe("predict")
        n = check_batch("inputs", {"x": x})
        rows = min(n, check_positive_int("batch_size", batch_size))
        data = self._placed({"x": x})
        outputs = [
            _predict(make_recipe, rows, self.placement, self.state, data, np.int32(index))
            for index in range(steps_in(n, rows))
        ]
        return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *fetch(outputs))

    def evaluate(self, data: Any, *, batch_size: int = _ROWS) -> dict[str, Any]:
        """Compute loss and metrics over a data set; a ragged last batch is exact.

        Args:
          data: a batch of any number of rows, such as `data.test`.
          batch_size: rows computed at once.

        Returns:
          Values by name, "loss" among them: floats, and NumPy arrays where a metric's result
          is one, such as a confusion matrix.

        Raises:
          ValueError, TypeError: data that the recipe cannot be evaluated on.
        """
        make_recipe = self._recipe("evaluate")
        check_batch("data", data)
        rows = eval_rows(data, check_positive_int("batch_size", batch_size))
        check_labels(make_recipe, self.state, "data", data)
        values = fetch(evaluate(make_recipe, rows, self.placement, self.state, self._placed(data)))
        return {name: value if value.ndim else float(value) for name, value in values.items()}

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write state, history and settings to a new folder, for `jaxnn.load`.

        Raises:
          ValueError: the folder holds a run.
        """
        files = RunFolder(folder)
        files.require_none("folder")
        files.write(self.config, self.history)
        files.save_final(self.state, len(self.history.epochs))
        return files.path

    def _placed(self, data: Any) -> Any:
        data = jax.tree.map(jnp.asarray, data)
        return data if self.placement is None else self.placement.replicate(data)

    def _recipe(self, method: str) -> MakeRecipe:
        if self.make_recipe is None:
            raise ValueError(f"{method} needs a recipe, and this run trained a state of its own")
        return self.make_recipe


def load(folder: str | os.PathLike[str], recipe: Recipe | MakeRecipe) -> Run:
    """Load the run that `Run.save`, or `fit` with a folder, has written.

    Code is not stored, so the recipe is given again. It must have the same description.

    Args:
      folder: of the run.
      recipe: what was trained, or its `make_recipe`.

    Returns:
      The run, its state equal to the last bit.

    Raises:
      ValueError: there is no run, the run has not ended, or it is of another recipe.
    """
    files = RunFolder(folder)
    files.require_a_run("folder")
    config, make_recipe = files.config(), as_maker(recipe)
    numbers = jax.tree.map(np.float64, config["knobs"])
    here = json.loads(json.dumps(describe(build(make_recipe, numbers, np.int32(0)))))
    if lines := differences(config["recipe"], here):
        raise ValueError(
            f"recipe must be the recipe of the run in {files.path}, got another: "
            + "; ".join(lines[:5])
        )
    like = jax.eval_shape(
        partial(_finished_state, make_recipe),
        config["knobs"],
        from_layout(config["data"]["train"]["layout"]),
    )
    state, done = files.restore_final(like)
    return Run(state, files.history(until=done), config, files.path, make_recipe)


def _finished_state(make_recipe: MakeRecipe, knobs: Any, batch: Any) -> TrainState:
    """The state of a run that has ended; only its structure is used."""
    knobs = jax.tree.map(lambda knob: jnp.asarray(knob, float), knobs)
    state = init_state(make_recipe, 0, batch, knobs)
    return finish(build(make_recipe, knobs, state.clock), state)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _predict(
    make_recipe: MakeRecipe,
    rows: int,
    placement: Placement | None,
    state: TrainState,
    data: Any,
    index: jax.Array,
) -> Any:
    batch = take(data, in_order(size(data), rows), index, rows)
    if placement is None:
        return predict_step(make_recipe, state, batch["x"])
    outputs = predict_step(make_recipe, state, placement.split(batch)["x"])
    return placement.everywhere(outputs)
