"""`Run`: a trained network with its record, and `load`, which reads one from its folder."""

from __future__ import annotations

import html
import json
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_path
from jaxnn.describe import describe, differences
from jaxnn.recipe import MakeRecipe, Recipe, as_maker, build
from jaxnn.train.bundle.encoding import Encoding, read_encoding, write_encoding
from jaxnn.train.bundle.files import holds_a_bundle, write_bundle
from jaxnn.train.bundle.network import ROWS, Network
from jaxnn.train.bundle.predictor import Predictor
from jaxnn.train.bundle.run_folder import facts_of, inputs_layout
from jaxnn.train.control.protocol import finish
from jaxnn.train.devices.distributed import is_first
from jaxnn.train.devices.placement import Placement
from jaxnn.train.record.folder import RunFolder
from jaxnn.train.record.history import History
from jaxnn.train.record.layout import from_layout
from jaxnn.train.record.view.glance import joined, short
from jaxnn.train.step.state import TrainState, init_state

__all__ = ["Run", "load"]


@dataclass
class Run(Predictor):
    """A trained network with its record.

    `predict` takes preprocessed inputs, such as `data.test`; `predict_classes`,
    `predict_probabilities` and `predict_targets` take raw ones.

    Attributes:
      state: the last state, with the best weights in place where a controller keeps them. A
        `TrainState`, or your own state where `fit` ran your own step.
      history: what was measured.
      config: every setting, as in `config.json`.
      folder: the run's folder, or None.
      make_recipe: builds the recipe from `state.knobs`; None for a state of your own.
      placement: where the state lies on several devices; None for one device.
      encoding: the preprocessing of the inputs, the names of the classes and the scaling of the
        targets, where the data had any.
    """

    state: Any
    history: History
    config: dict[str, Any]
    folder: Path | None
    make_recipe: MakeRecipe | None
    placement: Placement | None = None
    encoding: Encoding = field(default_factory=Encoding)

    def __repr__(self) -> str:
        epochs = self.history.epochs
        last = epochs[-1].values if len(epochs) else {}
        names = [name for part in ("val/", "train/") for name in last if name.startswith(part)]
        values = joined([f"{name} {short(last[name])}" for name in names], most=4)
        where = "" if self.folder is None else f", in {short(self.folder, 80)}"
        return f"Run of {len(epochs):,} epochs{where}" + (f": {values}" if values else "")

    def _repr_html_(self) -> str:
        """The run in a line, its loss over epochs, and the last values, for a notebook."""
        return f"<p>{html.escape(repr(self))}</p>{self.history._repr_html_()}"

    def evaluate(self, data: Any, *, batch_size: int = ROWS) -> dict[str, Any]:
        """Compute loss and metrics over a data set; a ragged last batch is exact.

        Args:
          data: a batch of any number of rows, such as `data.test`, or a pair (x, y), its inputs
            preprocessed as in training; or a stream or an iterable of batches, such as a loader,
            whose sums are added over its batches. Of a `jaxnn.data.Data` give one part.
          batch_size: rows computed at once.

        Returns:
          Values by name, "loss" among them: floats, and NumPy arrays where a metric's result
          is one, such as a confusion matrix.

        Raises:
          ValueError, TypeError: data that the recipe cannot be evaluated on.
        """
        values = self._network("evaluate").metrics(data, batch_size)
        return {name: value if value.ndim else float(value) for name, value in values.items()}

    def export(self, folder: str | os.PathLike[str]) -> Path:
        """Write what predicting takes to a new folder, for `jaxnn.load_bundle` or plain Flax.

        That is the parameters and the model's state, preprocessing, class names, the scaling of
        targets, the shape and dtype of the inputs, and the versions: no code, no optimizer, and
        nothing pickled. With `Recipe.average` the averaged parameters are exported, as they are
        those that predict.

        Args:
          folder: a new folder, or one without a run or a bundle.

        Returns:
          The folder.

        Raises:
          ValueError: the folder holds a run or a bundle, or the run trained a state of its own.
        """
        make_recipe = self._recipe("export")
        path = check_path("folder", folder)
        RunFolder(path).require_none("folder")
        if holds_a_bundle(path):
            raise ValueError(f"folder must be a new or empty folder, got {path}, with a bundle")
        facts, arrays = facts_of(self.config, make_recipe, self.state)
        if is_first():
            write_encoding(path, self.encoding)
            write_bundle(path, facts, arrays)
        return path

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write state, history and settings to a new folder, for `jaxnn.load`.

        Raises:
          ValueError: the folder holds a run.
        """
        files = RunFolder(folder)
        files.require_none("folder")
        files.write(self.config, self.history)
        if is_first():
            write_encoding(files.path, self.encoding)
        files.save_final(self.state, len(self.history.epochs))
        return files.path

    def _network(self, method: str) -> Network:
        make_recipe = self._recipe(method)
        return Network(make_recipe, self.state, self.placement, inputs_layout(self.config))

    def _loss(self) -> Any:
        make_recipe = self._recipe("predict_classes")
        return describe(build(make_recipe, self.state.knobs, self.state.clock).loss)

    def _recipe(self, method: str) -> MakeRecipe:
        if self.make_recipe is None:
            raise ValueError(f"{method} needs a recipe, and this run trained a state of its own")
        return self.make_recipe


def load(folder: str | os.PathLike[str], recipe: Recipe | MakeRecipe) -> Run:
    """Load the run that `Run.save`, or `fit` with a folder, has written.

    Code is not stored, so the recipe is given again. It must have the same description. To
    predict alone, `jaxnn.load_bundle` takes the same folder and needs at most the model.

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
    if config.get("population") is not None:
        raise ValueError(
            f"folder must be that of a run, got {files.path}, which holds a population: "
            "jaxnn.load_population reads it"
        )
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
    state, about = files.restore_final(like)
    history, encoding = files.history(until=about["epoch"]), read_encoding(files.path)
    return Run(state, history, config, files.path, make_recipe, encoding=encoding)


def _finished_state(make_recipe: MakeRecipe, knobs: Any, batch: Any) -> TrainState:
    """The state of a run that has ended; only its structure is used."""
    knobs = jax.tree.map(lambda knob: jnp.asarray(knob, float), knobs)
    state = init_state(make_recipe, 0, batch, knobs)
    return finish(build(make_recipe, knobs, state.clock), state)
