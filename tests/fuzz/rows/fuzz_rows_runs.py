"""Valid calls of `fit`, and of what a run offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from fuzz_kinds import anything, flag, integer, key, mapping, only, text
from fuzz_outcome import Row, row
from fuzz_rows_parts import BATCH, batch, plain, sequence, trained

import jaxnn
from jaxnn import train

NOT_NEGATIVE = "[0, inf)"


def _runs(folder: Path) -> list[Row]:
    data = jaxnn.data.Data(BATCH, BATCH)
    saved = trained().save(_fresh(folder / "saved"))

    def fitted(run: Any) -> Any:
        return run.state.params

    def is_devices(other: Any) -> bool:
        return other is None or (type(other) is int and 1 <= other <= jax.device_count())

    def first_epoch(epochs: Any) -> Any:
        return next(iter(epochs)).state.params

    count = integer(1, huge=False)
    shared = {
        "recipe": only(plain()),
        "data": batch(data),
        "batch_size": integer(10, 1, 20, huge=True),
        "key": key(0),
        "knobs": anything(None, lambda o: o is None or o == {}, called=("make_recipe",)),
        "state": only(None, none=True),
        "step": anything(None, lambda o: o is None, skip=("function", "class")),
        "probes": sequence(()),
        "accumulate": integer(1, 1, 2, huge=True),
        "eval_batch_size": integer(20, none=True, huge=True),
        "devices": anything(None, is_devices),
        "rules": mapping(None, lambda o: False, none=True),
        "zero1": flag(False),
    }
    new: Callable[[Any], bool] = lambda o: o is None  # noqa: E731
    run = trained()
    rows = {"batch_size": integer(8, huge=True)}
    return [
        row(
            "fit",
            fitted,
            slow=True,
            epochs=count,
            observers=sequence((), called=("observer",)),
            folder=anything(None, new, skip=("'no'", "'('")),
            resume=anything(None, new),
            checkpoint_every=integer(1, none=True, huge=True),
            steps_per_call=integer(1, none=True, huge=True),
            settings=anything(None, lambda o: isinstance(o, dict) or o is None),
            **shared,
        ),
        row("train.each_epoch", first_epoch, slow=True, epochs=count, **shared),
        Row("Run:predict", {"x": batch(BATCH["x"]), **rows}, run.predict, slow=True),
        Row("Run:evaluate", {"data": batch(BATCH), **rows}, run.evaluate, slow=True),
        Row(
            "Run:save",
            {"folder": anything(folder / "new", lambda o: False, skip=("'no'", "'('"))},
            lambda folder: run.save(_fresh(folder)),
        ),
        row(
            "load",
            lambda made: made.state.params,
            slow=True,
            folder=anything(saved, lambda o: False),
            recipe=only(plain()),
        ),
        Row(
            "load_bundle",
            {"folder": anything(saved, lambda o: False), "model": only(None, none=True)},
            lambda **values: jaxnn.load_bundle(**values).params,
            slow=True,
        ),
        row("train.History", lambda made: made.names, epochs=sequence(())),
        Row("train.History:series", {"name": text("train/loss")}, run.history.series),
        Row("train.History:step_series", {"name": text("loss")}, run.history.step_series),
        Row(
            "train.History:read",
            {
                "path": anything(saved, lambda o: False),
                "until": integer(1, 0, none=True, huge=True),
            },
            lambda **values: train.History.read(**values).names,
        ),
    ]


def _fresh(folder: Any) -> Any:
    """The valid folder under a name that is not taken, anything else as it is."""
    if not isinstance(folder, Path):
        return folder
    return folder.with_name(f"{folder.name}{len(list(folder.parent.iterdir()))}")


def rows(folder: Path) -> list[Row]:
    return _runs(folder)
