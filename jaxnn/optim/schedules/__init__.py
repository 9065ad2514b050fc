"""Schedules: pure functions of the count of updates that return a knob's value.

A schedule takes integers of any shape, starts at 0, works under `jit`, `vmap` and `grad`, and
is differentiable in its constants, which may be traced scalars. It counts steps, or whatever
its caller counts: `in_epochs` turns one that is written in epochs into one of steps. Any knob
of an optimizer takes one, not the learning rate alone.
"""

from jaxnn.optim.schedules.compose import in_epochs, join, warmup
from jaxnn.optim.schedules.decays import (
    constant,
    exponential,
    inverse_time,
    natural_exponential,
    piecewise_constant,
    power,
    step,
)
from jaxnn.optim.schedules.ramps import cosine, cosine_restarts, linear, one_cycle, polynomial

__all__ = [
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "in_epochs",
    "inverse_time",
    "join",
    "linear",
    "natural_exponential",
    "one_cycle",
    "piecewise_constant",
    "polynomial",
    "power",
    "step",
    "warmup",
]
