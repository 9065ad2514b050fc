"""Records made by hand, and what holds of two that are equal."""

from __future__ import annotations

import numpy as np

from jaxnn.train import EpochRecord


def make_record(epoch, steps=4, seed=0):
    """A record of a run with a value that is NaN, series with Inf, and arrays of every rank."""
    draw = np.random.default_rng([seed, epoch])
    loss = draw.normal(size=steps)
    loss[: steps // 2 : 2] = np.inf
    return EpochRecord(
        epoch=epoch,
        step=4 * (epoch - 1) + steps,
        values={"train/loss": draw.normal(), "val/loss": np.nan, "val/low": -np.inf},
        steps={"loss": loss, "penalty": draw.normal(size=steps)},
        arrays={
            "number": np.array(1 / 3),
            "row": np.array([np.nan, 1 / 3, -np.inf]),
            "val/confusion": draw.normal(size=(3, 3)),
            "none": np.zeros((2, 0, 3)),
            "cube": draw.normal(size=(2, 1, 3)),
        },
    )


def make_member_record(epoch, members=(0, 1, 2), steps=4, stopped=()):
    """A record of members; those in `stopped` had stopped before it."""
    draw = np.random.default_rng([7, epoch])
    count = len(members)
    gone = np.isin(members, stopped)
    hide = lambda array: np.where(gone.reshape(-1, *[1] * (array.ndim - 1)), np.nan, array)  # noqa: E731
    return EpochRecord(
        epoch=epoch,
        step=4 * (epoch - 1) + steps,
        values={"train/loss": hide(draw.normal(size=count)), "seconds": np.full(count, 0.5)},
        steps={"loss": hide(draw.normal(size=(count, steps)))},
        stopped=gone,
        arrays={"val/confusion": hide(draw.normal(size=(count, 2, 2)))},
        members=np.array(members, np.int64),
        done=np.where(gone, 0, steps).astype(np.int64),
    )


def assert_same(a, b):
    """Two records hold the same numbers, NaN included, of the same dtypes and shapes."""
    assert (a.epoch, a.step) == (b.epoch, b.step)
    for part in ("values", "steps", "arrays"):
        ours, theirs = getattr(a, part), getattr(b, part)
        assert list(ours) == list(theirs), part
        for name in ours:
            left, right = np.asarray(ours[name]), np.asarray(theirs[name])
            assert left.dtype == right.dtype == np.float64, name
            np.testing.assert_array_equal(left, right, strict=True)
    for part in ("stopped", "members", "done"):
        left, right = getattr(a, part), getattr(b, part)
        assert (left is None) == (right is None), part
        np.testing.assert_array_equal(left, right)


def assert_same_history(a, b):
    """Two histories hold the same epochs."""
    for left, right in zip(a.epochs, b.epochs, strict=True):
        assert_same(left, right)
