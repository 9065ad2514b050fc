"""How the members of a population ended, by kinds and by epochs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from jaxnn.train import History

__all__ = ["KINDS", "count_endings", "fates_so_far", "kind_of"]

KINDS = ("trained", "taken out", "stopped early", "diverged")


def kind_of(fate: str) -> int:
    """Find the kind of a member's end, as an index of `KINDS`.

    Args:
      fate: one of `Population.fates`.

    >>> KINDS[kind_of("taken out after epoch 3")]
    'taken out'
    """
    return [kind.split()[0] for kind in KINDS].index(fate.split()[0])


def count_endings(fates: Sequence[str]) -> dict[str, int]:
    """Count the members by how they ended, in words, in the order of `KINDS`.

    Args:
      fates: of all members.

    >>> count_endings(["trained to epoch 9", "diverged at step 1: NaN or Inf in x"])
    {'trained to epoch 9': 1, 'diverged': 1}
    """
    counts: dict[str, int] = {}
    for fate in sorted(fates, key=kind_of):
        kind = KINDS[kind_of(fate)]
        # Who trained may have done so to an epoch before the last.
        words = fate if kind == "trained" else kind
        counts[words] = counts.get(words, 0) + 1
    return counts


def fates_so_far(history: History, members: int) -> list[str]:
    """Say of each member how it ended, as far as the record alone tells.

    It serves while the members train: afterwards `Population.fates` knows it, and where a member
    diverged.

    Args:
      history: of the population.
      members: how many there are.

    >>> from jaxnn.train import EpochRecord
    >>> first = EpochRecord(
    ...     1, 2, {"train/loss": np.array([0.5, np.nan, 0.7])}, {}, np.array([False, True, False]),
    ...     members=np.arange(3), done=np.array([2, 1, 2]))
    >>> second = EpochRecord(
    ...     2, 4, {"train/loss": np.array([0.5])}, {}, np.array([False]),
    ...     members=np.array([0]), done=np.array([2]))
    >>> fates_so_far(History([first, second]), 3)
    ['trained to epoch 2', 'diverged in epoch 1', 'taken out after epoch 1']
    """
    fates = ["trained to epoch 0"] * members
    for record in history.epochs:
        assert record.members is not None and record.done is not None  # of a population
        losses = np.asarray(record.values.get("train/loss", np.zeros(len(record.members))))
        rows = zip(record.members.tolist(), record.done, record.stopped, losses, strict=True)
        for member, done, stopped, loss in rows:
            if not done:
                continue
            if not stopped:
                fates[member] = f"trained to epoch {record.epoch}"
            elif np.isfinite(loss):
                fates[member] = f"stopped after epoch {record.epoch}"
            else:
                fates[member] = f"diverged in epoch {record.epoch}"
    if history.epochs:
        last: set[int] = set(np.asarray(history.epochs[-1].members).tolist())
        for member, fate in enumerate(fates):
            if member not in last and fate.startswith("trained"):
                fates[member] = re.sub("^trained to", "taken out after", fate)
    return fates
