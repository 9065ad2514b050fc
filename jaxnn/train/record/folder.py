"""A run's folder: its settings, its history and its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, TypeVar

from jaxnn.arguments import check_path
from jaxnn.describe import differences
from jaxnn.train.devices.distributed import is_first
from jaxnn.train.record import checkpoint
from jaxnn.train.record.history import LINES, History
from jaxnn.train.record.lines import replace_file
from jaxnn.train.record.records import EpochRecord
from jaxnn.train.record.writer import HistoryWriter, write_history

__all__ = ["RunFolder", "find_folder"]

# What makes two runs the same run; all else (epochs, versions, devices) may change between
# the start and the resumption.
_IDENTITY = (
    "recipe",
    "step",
    "knobs",
    "key",
    "batch_size",
    "accumulate",
    "eval_batch_size",
    "data",
    "population",
)


class RunFolder:
    """The files of one run.

    `config.json` holds every setting, `history.jsonl` a line per epoch with its scalars,
    `segments/` the series of its steps and its arrays, `checkpoints/` the state at the end of an
    epoch, from which the run resumes, and `final/` the state that the run handed back. Of several
    processes the first writes, and all read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = check_path("folder", path)
        self._final = self.path / "final"
        self._config = self.path / "config.json"
        self._checkpoints = self.path / "checkpoints"
        self._writer: HistoryWriter | None = None  # while a run goes on

    def holds_a_run(self) -> bool:
        """Whether a run was started here."""
        return self._config.exists()

    def require_a_run(self, argument: str) -> None:
        """Refuse a folder without a run."""
        if not self.holds_a_run():
            raise ValueError(f"{argument} must be the folder of a run, got {self.path}")

    def require_none(self, argument: str) -> None:
        """Refuse a folder that a new run would overwrite."""
        if self.holds_a_run():
            raise ValueError(
                f"{argument} must be a new or empty folder, got {self.path}, which holds a run: "
                "resume= continues it"
            )

    def require_same_run(self, config: dict[str, Any]) -> None:
        """Refuse a folder whose run differs from the one that `config` describes."""
        there = self.config()
        lines = differences(
            {name: there.get(name) for name in _IDENTITY},
            # Through JSON, so that tuples are lists on both sides.
            json.loads(json.dumps({name: config.get(name) for name in _IDENTITY})),
        )
        if lines:
            raise ValueError(
                f"resume must be the folder of the same run, got {self.path}, which holds "
                "another: " + "; ".join(lines[:5])
            )

    def config(self) -> dict[str, Any]:
        """The settings of the run."""
        return json.loads(self._config.read_text())

    def history(self, *, until: int | None = None) -> History:
        """The history so far, or up to an epoch; 0 looks at nothing."""
        if until == 0 or not (self.path / LINES).exists():
            return History()
        return History.read(self.path, until=until)

    def begin(self, config: dict[str, Any], history: History) -> None:
        """Write the settings, and keep the history as far as the run goes on from it.

        Args:
          config: the settings.
          history: that grows with the run; its epochs so far are those of this folder.
        """
        if not is_first():
            return
        self._writer = HistoryWriter(self.path, history)
        self._write_config(config)

    def write(self, config: dict[str, Any], history: History) -> None:
        """Write the settings and the whole history of a run to a new folder."""
        if is_first():
            write_history(self.path, history.epochs)
            self._write_config(config)

    def append(self, record: EpochRecord) -> None:
        """Write the line of an epoch that the history has as its last."""
        if self._writer is not None:
            self._writer.append(record)

    def flush(self) -> None:
        """Write the series of the epochs since this was done last."""
        if self._writer is not None:
            self._writer.flush()

    def save_checkpoint(self, state: Any, epoch: int, about: dict[str, Any] | None = None) -> None:
        """Keep the state at the end of the last epoch; older ones go when it is whole.

        Args:
          state: pytree of arrays.
          epoch: the last.
          about: what JSON can write, to be kept beside it.
        """
        self.flush()  # so that no segment has epochs on both sides of a checkpoint
        checkpoint.save(
            self._checkpoints / f"{epoch:06d}", state, {**(about or {}), "epoch": epoch}
        )
        for older in self._epochs():
            if older != epoch and is_first():
                shutil.rmtree(self._checkpoints / f"{older:06d}")

    def save_final(self, state: Any, epoch: int, about: dict[str, Any] | None = None) -> None:
        """Keep the state that the run handed back; the arguments are as in `save_checkpoint`."""
        checkpoint.save(self._final, state, {**(about or {}), "epoch": epoch})

    def restore_checkpoint(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest state, and its "epoch" with what was kept beside it; None where none is."""
        epochs = self._epochs()
        if not epochs:
            if self._final.exists():
                raise ValueError(
                    f"resume must be the folder of a run with checkpoints, got {self.path}, which "
                    "Run.save wrote: it holds a result, for load, and nothing to go on from"
                )
            return None
        return checkpoint.restore(self._checkpoints / f"{max(epochs):06d}", like)

    def restore_final(self, like: Any) -> tuple[Any, dict[str, Any]]:
        """The state that the run handed back, and its "epoch" with what was kept beside it."""
        self._require_an_end()
        return checkpoint.restore(self._final, like)

    def restore_arrays(self) -> dict[str, Any]:
        """The arrays of the state that the run handed back, by their paths."""
        self._require_an_end()
        return checkpoint.restore_arrays(self._final)

    def _require_an_end(self) -> None:
        if not self._final.exists():
            raise ValueError(
                f"folder must hold a run that has ended, got {self.path}, which was cut short: "
                "fit(..., resume=folder) continues it, or ends it where epochs= is already reached"
            )

    def _write_config(self, config: dict[str, Any]) -> None:
        if self._final.exists():  # of a shorter run, and not what this one will hand back
            shutil.rmtree(self._final)
        replace_file(self._config, json.dumps(config, indent=2) + "\n")

    def _epochs(self) -> list[int]:
        # Orbax writes under a longer name and renames, so digits alone mean that it is whole.
        names = [entry.name for entry in self._checkpoints.glob("*")]
        return [int(name) for name in names if name.isdigit()]


_Folder = TypeVar("_Folder", bound=RunFolder)


def find_folder(folder: Any, resume: Any, kind: type[_Folder]) -> _Folder | None:
    """The folder that `fit` was given, after a look into it; None for a run without."""
    if folder is not None and resume is not None:
        raise ValueError("give folder= for a new run or resume= for an old one, not both")
    if resume is not None:
        files = kind(check_path("resume", resume))
        files.require_a_run("resume")
        return files
    if folder is None:
        return None
    files = kind(folder)
    files.require_none("folder")
    return files
