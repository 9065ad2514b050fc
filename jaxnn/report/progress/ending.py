"""Say why a run or a population ended: with which weights, and how many members in which way."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from jaxnn.population.population import Population
from jaxnn.recipe import build
from jaxnn.report.population.endings import count_endings
from jaxnn.train import EpochRecord, Run
from jaxnn.train.control.early_stopping import EarlyStopping

__all__ = ["best_epoch", "ending", "population_ending"]


def ending(run: Run, error: BaseException | None) -> str:
    """Say in one line why a run ended and which weights it hands back.

    Args:
      run: as `Observer.on_end` gets it.
      error: what ended the run before its time, if anything did.

    >>> from types import SimpleNamespace as Fake
    >>> record = Fake(epoch=3, values={}, stopped=False)
    >>> run = Fake(config={"epochs": 3}, history=Fake(epochs=[record]), make_recipe=None)
    >>> ending(run, None)
    'all 3 epochs done: weights of the last'
    >>> run.config["epochs"] = 5
    >>> ending(run, KeyboardInterrupt())
    'interrupted after epoch 3 of 5'
    """
    reason, whole = _reason(run, error)
    return f"{reason}: {_weights(run)}" if whole else reason


def population_ending(population: Population, error: BaseException | None) -> str:
    """Say in one line why a population ended, and how many members ended in which way.

    Args:
      population: as `Observer.on_end` gets it.
      error: what ended it before its time, if anything did.

    >>> from types import SimpleNamespace as Fake
    >>> record = Fake(epoch=3, values={}, stopped=np.array([False, True]))
    >>> fates = ["trained to epoch 3", "stopped after epoch 2", "taken out after epoch 1"]
    >>> population = Fake(config={"epochs": 3}, history=Fake(epochs=[record]), fates=fates)
    >>> population_ending(population, None)
    'all 3 epochs done: 1 trained to epoch 3, 1 taken out, 1 stopped early'
    """
    reason, _ = _reason(population, error)
    # Without fates an error came before the members were looked at.
    counted = count_endings(population.fates)
    if isinstance(error, FloatingPointError) or not counted:
        return reason
    return f"{reason}: " + ", ".join(f"{count:,} {ended}" for ended, count in counted.items())


def _reason(run: Run | Population, error: BaseException | None) -> tuple[str, bool]:
    """Why it ended, and whether nothing cut it short."""
    records, total = run.history.epochs, run.config["epochs"]
    done = records[-1].epoch if records else 0
    if isinstance(error, FloatingPointError):
        return f"diverged in epoch {done} of {total}: {error}", False
    if records and np.all(records[-1].stopped):
        return f"stopped after epoch {done} of {total}", True
    if done >= total:
        return f"all {total} epochs done", True
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted after epoch {done} of {total}", False
    by = "" if error is None else f" by {type(error).__name__}"
    return f"ended{by} after epoch {done} of {total}", False


def _weights(run: Run) -> str:
    if run.make_recipe is None:
        return "weights of the last"
    recipe = build(run.make_recipe, run.state.knobs, run.state.clock)
    averaged = ", averaged" if recipe.average is not None and recipe.average.evaluate else ""
    keepers = [each for each in recipe.controllers if isinstance(each, EarlyStopping)]
    if not keepers:
        return f"weights of the last{averaged}"
    keeper = keepers[-1]  # what it has kept replaces what others have
    if run.config.get("evaluate_every_steps") is not None:  # in the middle of an epoch too
        return f"weights with the best {keeper.monitor}{averaged}"
    every = run.config.get("evaluate_every_epochs") or 1
    epoch = best_epoch(
        keeper, [record for record in run.history.epochs if not record.epoch % every]
    )
    if epoch is None:
        return f"weights of the start, since no {keeper.monitor} was finite"
    return f"weights of epoch {epoch}, with the best {keeper.monitor}{averaged}"


def best_epoch(keeper: EarlyStopping, records: Sequence[EpochRecord]) -> int | None:
    """Find the epoch whose weights early stopping has kept, by its own rule; None: none yet.

    Args:
      keeper: the controller.
      records: of the epochs that were evaluated.
    """
    number = jax.dtypes.canonicalize_dtype(float).type  # as the compiled rule computes
    best = epoch = None
    for record in records:
        value = number(record.values.get(keeper.monitor, np.nan))
        margin = number(keeper.min_delta)
        if best is None:
            better = np.isfinite(value)
        elif keeper.mode == "min":
            better = value < best - margin
        else:
            better = value > best + margin
        if better:
            best, epoch = value, record.epoch
    return epoch
