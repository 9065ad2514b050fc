"""Time pieces of work in turn, so that a slow spell of the machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Quartiles", "alternate", "matrix_product_rate", "stopwatch"]


class Quartiles(NamedTuple):
    """Hold the median of some numbers and their quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(numbers: np.ndarray) -> Quartiles:
        """Compute them of a vector."""
        low, median, high = np.quantile(numbers, (0.25, 0.5, 0.75))
        return Quartiles(float(median), float(low), float(high))


def stopwatch(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that some work takes, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def alternate(works: Mapping[str, Callable[[], Any]], times: int) -> dict[str, np.ndarray]:
    """Return the seconds of each piece of work, timed in turn, each turn beginning with another.

    >>> taken = alternate({"a": lambda: None, "b": lambda: None}, 3)
    >>> {name: len(seconds) for name, seconds in taken.items()}
    {'a': 3, 'b': 3}
    """
    names = list(works)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(times):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            taken[name].append(stopwatch(works[name])[0])
    return {name: np.array(seconds) for name, seconds in taken.items()}


def matrix_product_rate(size: int = 1024, times: int = 9) -> float:
    """Measure the FLOP/s of a product of two square float32 matrices, as the machine's limit."""
    a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    seconds = [stopwatch(lambda: product(a, a).block_until_ready())[0] for _ in range(times)]
    return 2 * size**3 / min(seconds)
