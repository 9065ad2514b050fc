"""Directions of metrics of one's own: wrapped, and never written onto what somebody else holds."""

from __future__ import annotations

from functools import partial

import pytest
from flax import struct

from jaxnn import losses
from jaxnn.metrics import accuracy, direction, higher_is_better, lower_is_better


def hits(outputs, targets, weight=None, *, k=1):
    return float(k), 1.0


class Judge:
    def __call__(self, outputs, targets, weight=None):
        return 1.0, 1.0


@pytest.mark.parametrize(
    "metric", [hits, partial(hits, k=2), Judge()], ids=["def", "partial", "object"]
)
def test_a_metric_is_wrapped_and_stays_as_it_was(metric):
    up, down = higher_is_better(metric), lower_is_better(metric)
    assert (direction(up), direction(down), direction(metric)) == ("max", "min", None)
    assert up(1, 1, None) == metric(1, 1, None)
    assert up == higher_is_better(metric) != down
    assert len({up, higher_is_better(metric), down}) == 2
    assert direction(partial(partial(up, weight=None))) == "max"
    assert higher_is_better(up) is up and direction(lower_is_better(up)) == "min"


def test_accumulators_and_losses_have_directions():
    @lower_is_better
    class Worst(struct.PyTreeNode):
        largest: float

        def result(self):
            return self.largest

    assert direction(Worst) == direction(Worst(1.0)) == "min"
    assert direction(partial(losses.huber, delta=2.0)) == "min"
    assert direction(lower_is_better(accuracy)) == "min" and direction(accuracy) == "max"
    assert direction(None) is None and direction("max") is None


def test_what_is_no_metric_is_refused():
    with pytest.raises(TypeError, match="metric must be a function, got 3"):
        higher_is_better(3)
