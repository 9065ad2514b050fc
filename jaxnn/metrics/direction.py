"""Directions: whether the highest or the lowest value of a metric is the best.

A metric's own function says it. Early stopping, the best checkpoint, the page and the search ask
for it with `direction`, and nothing guesses it from a metric's name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Literal, TypeVar

__all__ = ["Direction", "direction", "higher_is_better", "lower_is_better"]

Direction = Literal["max", "min"]
"""The best value of a metric: its highest ("max") or its lowest ("min")."""

_F = TypeVar("_F", bound=Callable[..., Any])


def higher_is_better(metric: _F) -> _F:
    """Return the metric, marked as one whose highest value is the best.

    Args:
      metric: a function, a `functools.partial`, a callable object, or the class of an
        accumulator.

    Returns:
      The metric itself if it has this direction already; a class itself, which then has an
      attribute `direction`; else a callable that wraps the metric, which stays as it was. Two
      such callables are equal if they wrap the same object with the same direction.

    Raises:
      TypeError: `metric` cannot be called.

    >>> @higher_is_better
    ... def hits(outputs, targets, weight=None):
    ...     return weighted(outputs == targets, weight)
    >>> direction(hits)
    'max'
    """
    return _directed(metric, "max")


def lower_is_better(metric: _F) -> _F:
    """Return the metric, marked as one whose lowest value is the best.

    Args:
      metric: as in `higher_is_better`.

    Returns:
      The marked metric, as in `higher_is_better`.

    Raises:
      TypeError: `metric` cannot be called.

    >>> @lower_is_better
    ... def misses(outputs, targets, weight=None):
    ...     return weighted(outputs != targets, weight)
    >>> direction(misses)
    'min'
    """
    return _directed(metric, "min")


def direction(metric: Any) -> Direction | None:
    """Return whether the highest or the lowest value of a metric is the best.

    Args:
      metric: a metric, any number of `functools.partial` of one, an accumulator or its class,
        or a loss of `jaxnn.losses`.

    Returns:
      "max", "min", or None if nobody has said it.

    >>> import jaxnn
    >>> direction(jaxnn.metrics.accuracy), direction(jaxnn.metrics.mean_squared_error)
    ('max', 'min')
    >>> direction(partial(jaxnn.metrics.top_k_accuracy, k=3))
    'max'
    >>> direction(lambda outputs, targets, weight: (0.0, 1.0)) is None
    True
    """
    while True:
        said = getattr(metric, "direction", None)
        if isinstance(said, str) and said in ("max", "min"):
            return said  # type: ignore[return-value]
        if not isinstance(metric, partial):
            return None
        metric = metric.func


def best_is(said: Direction) -> Callable[[_F], _F]:
    """Decorate a function of this package, which nobody else holds yet, with its direction."""

    def attach(metric: _F) -> _F:
        metric.direction = said  # type: ignore[attr-defined]
        return metric

    return attach


class _Directed:
    """A metric that is called as before, and has a direction."""

    def __init__(self, metric: Callable[..., Any], said: Direction) -> None:
        update_wrapper(self, metric)
        self._metric = metric
        self.direction = said

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self._metric(*args, **settings)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Directed):
            return NotImplemented
        return self._metric is other._metric and self.direction == other.direction

    def __hash__(self) -> int:
        return hash((id(self._metric), self.direction))

    def __repr__(self) -> str:
        return f"{'higher' if self.direction == 'max' else 'lower'}_is_better({self._metric!r})"


def _directed(metric: _F, said: Direction) -> _F:
    if not callable(metric):
        raise TypeError(f"metric must be a function, got {metric!r}")
    if isinstance(metric, type):
        # A wrapped class would no longer be the class of its instances.
        return best_is(said)(metric)  # type: ignore[return-value]
    if direction(metric) == said:
        return metric
    return _Directed(metric, said)  # type: ignore[return-value]
