"""Which probes see which steps, where they do not all see every step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxnn.train.step.trace import Probe, every_of

__all__ = ["Due", "due_sets", "is_due", "sees"]

Due = tuple[int, ...]
"""Cadences above 1 that are due at a step, in ascending order; () where none is."""


def due_sets(probes: Sequence[Probe]) -> tuple[Due, ...]:
    """All sets of cadences that are due together at some step, the empty one first.

    >>> from types import SimpleNamespace
    >>> due_sets([SimpleNamespace(every=k) for k in (1, 10, 50)])
    ((), (10,), (10, 50))
    >>> due_sets([SimpleNamespace(every=k) for k in (2, 3)])
    ((), (2,), (3,), (2, 3))
    """
    rare = sorted({every_of(probe) for probe in probes} - {1})
    found = {
        tuple(k for k in rare if math.lcm(*chosen) % k == 0)
        for size in range(1, len(rare) + 1)
        for chosen in itertools.combinations(rare, size)
    }
    return ((), *sorted(found, key=lambda due: (len(due), due)))


def is_due(due: Due, sets: Sequence[Due], clock: jax.Array) -> jax.Array:
    """Whether exactly these cadences are due at a step, () bool."""
    rare = {k for each in sets for k in each}
    hits = [(clock % k == 0) == (k in due) for k in sorted(rare)]
    return jnp.stack(hits).all()


def sees(probe: Probe, due: Due) -> bool:
    """Whether a probe sees the steps at which these cadences are due."""
    return every_of(probe) in (1, *due)
