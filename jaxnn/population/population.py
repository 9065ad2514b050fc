"""`Population`: trained members with their record, as runs and as one table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_choice, check_positive_int, check_text
from jaxnn.describe import describe
from jaxnn.population.folder import PopulationFolder
from jaxnn.population.members.fates import has_diverged
from jaxnn.population.table import best_values, latest_values, member_table
from jaxnn.recipe import MakeRecipe, build
from jaxnn.train.bundle.encoding import Encoding, write_encoding
from jaxnn.train.bundle.network import ROWS, Network
from jaxnn.train.bundle.run_folder import inputs_layout
from jaxnn.train.control.early_stopping import EarlyStopping
from jaxnn.train.record.history import History
from jaxnn.train.record.view.glance import joined, short
from jaxnn.train.run import Run
from jaxnn.train.step.state import TrainState, member_state

__all__ = ["Population"]

_MOST = 2**14  # rows that predicting computes at once, of all members together


@dataclass(eq=False)
class Population:
    """Members that were trained together, each of them an ordinary run.

    `population[i]` is the `Run` of member i; `len` and iteration work too.

    Attributes:
      state: the states that the members handed back; their leaves are (members, …).
      history: what was measured, with an axis of members.
      config: every setting, as in `config.json`; its knobs are lists.
      folder: the population's folder, or None.
      make_recipe: builds a member's recipe from its knobs.
      fates: what ended each member, in words: "trained to epoch 30", "stopped after epoch 12",
        "taken out after epoch 3", "diverged at step 17: NaN or Inf in Dense_0/kernel".
      lineage: what `exploit_and_explore` did: dicts with the epoch, who copied whom, and the
        knobs that each went on with.
      encoding: the preprocessing of the inputs and its like, where the data had any.
    """

    state: TrainState
    history: History
    config: dict[str, Any]
    folder: Path | None
    make_recipe: MakeRecipe
    fates: list[str] = field(default_factory=list)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    encoding: Encoding = field(default_factory=Encoding)

    def __len__(self) -> int:
        return int(self.config["population"]["members"])

    def __repr__(self) -> str:
        where = "" if self.folder is None else f", in {short(self.folder, 80)}"
        kinds = Counter(" ".join(fate.split()[:1]) for fate in self.fates)
        ended = joined([f"{count:,} {kind}" for kind, count in kinds.items()])
        epochs = f"{len(self.history.epochs):,} epochs"
        return f"Population of {len(self):,} members, {epochs}{where}: {ended}"

    def __iter__(self) -> Iterator[Run]:
        return (self[member] for member in range(len(self)))

    def __getitem__(self, member: int) -> Run:
        """The run of one member, as `fit` would return it.

        Raises:
          IndexError: no such member.
        """
        count = len(self)
        if not -count <= _checked_id(member) < count:
            raise IndexError(f"member must be an id from 0 to {count - 1}, got {member}")
        member = int(member) % count
        state, history = _member(self.state, member), self.history.member(member)
        done = len(history.epochs)
        if done:  # the clock of its own last step
            clock = np.asarray(history.epochs[-1].step, state.clock.dtype)
            state = state.replace(clock=jax.device_put(clock))
        config = {
            **{name: value for name, value in self.config.items() if name != "population"},
            "knobs": jax.tree.map(float, state.knobs),
            "recipe": describe(build(self.make_recipe, _numbers(state.knobs), np.int32(0))),
            "key": self._key(state),
            "member": member,
        }
        return Run(state, history, config, None, self.make_recipe, encoding=self.encoding)

    def table(self) -> np.ndarray:
        """One row a member, as a NumPy structured array.

        Returns:
          (members,) with the fields "member", each knob by its path (at the start, where
          `exploit_and_explore` moved it), "epochs" that it trained, "ended" (what ended it), and
          for each value of the record its last and, where the metric has a direction, its best:
          "val/loss", "best val/loss", …
        """
        return member_table(self.history, self.config, self._knobs(), self.fates)

    def to_pandas(self) -> Any:
        """`table()` as a `pandas.DataFrame`, indexed by "member".

        Raises:
          ImportError: pandas is not installed.
        """
        import pandas

        return pandas.DataFrame.from_records(self.table(), index="member")

    def best(self, k: int = 1, by: str = "val/loss", *, over: str | None = None) -> list[Run]:
        """The best members, the best one first.

        Args:
          k: how many, at most as many as have such a value.
          by: a name of the record, such as "val/accuracy".
          over: "last": members are compared by the last value of each; "best": by the best one
            of each over its epochs. None: "best" where the recipe hands back the best weights
            (`early_stopping`, `keep_best`), else "last".

        Returns:
          Runs, with `run.config["member"]`. A member that has diverged, or that has no finite
          value, is none of them.

        Raises:
          ValueError: a name that was not measured or has no direction, or k below 1.
        """
        return [run for run, _ in self.ranked(k, by, over)]

    def ranked(self, k: int, by: str, over: str | None = None) -> list[tuple[Run, float]]:
        """`best`, each run with the value that it was compared by."""
        k = check_positive_int("k", k)
        check_text("by", by)
        direction = self.config["directions"].get(by)
        if direction is None:
            known = sorted(set(self.config["directions"]) & set(self.history.names))
            raise ValueError(
                f"by must be a value of the record whose best is known, {known}, got {by!r}"
            )
        if over is None:
            recipe = build(self.make_recipe, self._knobs_of(0), np.int32(0))
            keeps = any(isinstance(each, EarlyStopping) for each in recipe.controllers)
            over = "best" if keeps else "last"
        check_choice("over", over, ("last", "best"))
        values = self.history.series(by)
        scores = latest_values(values) if over == "last" else best_values(values, direction)
        signed = np.where(np.isfinite(scores), scores if direction == "min" else -scores, np.inf)
        signed[[has_diverged(fate) for fate in self.fates]] = np.inf
        order = np.argsort(signed, kind="stable")
        return [
            (self[member], float(scores[member])) for member in order[:k] if signed[member] < np.inf
        ]

    def schedule(self, member: int) -> list[tuple[int, Any]]:
        """The knobs that led to a member, through all that it copied; see `replay`.

        Returns:
          Pairs (epoch, knobs), from (0, …): behind that epoch training went on with those knobs.
        """
        if not -len(self) <= _checked_id(member) < len(self):
            raise ValueError(f"member must be an id from 0 to {len(self) - 1}, got {member}")
        member = int(member) % len(self)
        found: list[tuple[int, Any]] = []
        for event in reversed(self.lineage):
            if str(member) in event["parents"]:
                own = {name: values[str(member)] for name, values in event["knobs"].items()}
                structure = jax.tree.structure(self.config["knobs"], is_leaf=_is_list)
                found.append((event["epoch"], jax.tree.unflatten(structure, list(own.values()))))
                member = event["parents"][str(member)]
        return [(0, self._knobs_of(member)), *reversed(found)]

    def predict(self, x: Any, *, batch_size: int = ROWS) -> Any:
        """Compute the outputs of all members in one program, with dropout off.

        Args:
          x: as in `Run.predict`.
          batch_size: rows computed at once, at most.

        Returns:
          NumPy arrays (members, n, …).

        Raises:
          ValueError, TypeError: as in `Run.predict`.
        """
        return self._network().outputs(x, self._rows(batch_size))

    def evaluate(self, data: Any, *, batch_size: int = ROWS) -> dict[str, np.ndarray]:
        """Compute loss and metrics of all members over a data set.

        Args:
          data: as in `Run.evaluate`.
          batch_size: rows computed at once, at most.

        Returns:
          NumPy arrays (members, …) by name, "loss" among them.

        Raises:
          ValueError, TypeError: as in `Run.evaluate`.
        """
        return self._network().metrics(data, self._rows(batch_size))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write states, history and settings to a new folder, for `jaxnn.load_population`.

        Raises:
          ValueError: the folder holds a run.
        """
        files = PopulationFolder(folder)
        files.require_none("folder")
        files.write(self.config, self.history)
        write_encoding(files.path, self.encoding)
        about = {"fates": self.fates, "lineage": self.lineage}
        files.save_final(self.state, len(self.history.epochs), about)
        return files.path

    def _network(self) -> Network:
        return Network(self.make_recipe, self.state, None, inputs_layout(self.config))

    def _rows(self, batch_size: int) -> int:
        return min(check_positive_int("batch_size", batch_size), max(1, _MOST // len(self)))

    def _knobs(self) -> Any:
        """The knobs that the members began with, lists as arrays."""
        return jax.tree.map(np.array, self.config["knobs"], is_leaf=_is_list)

    def _knobs_of(self, member: int) -> Any:
        return jax.tree.map(lambda column: float(column[member]), self._knobs())

    def _key(self, state: TrainState) -> dict[str, Any]:
        impl = str(jax.random.key_impl(state.key))
        return {"impl": impl, "data": np.asarray(jax.random.key_data(state.key)).tolist()}


_member = jax.jit(member_state)


def _checked_id(member: Any) -> int:
    if isinstance(member, (bool, np.bool_)) or not isinstance(member, (int, np.integer)):
        raise TypeError(f"member must be an integer, got {member!r}")
    return int(member)


def _numbers(knobs: Any) -> Any:
    return jax.tree.map(lambda knob: np.asarray(knob)[()], knobs)


def _is_list(node: Any) -> bool:
    return isinstance(node, list)
