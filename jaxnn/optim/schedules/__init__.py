"""Schedules: pure functions that map the count of updates to a knob's value.

A schedule takes integers of any shape, counts from 0, works under `jit`, `vmap` and `grad`, and
is differentiable in its constants, which may be traced scalars. It counts steps, or whatever its
caller counts: `in_epochs` turns a schedule written in epochs into one of steps. Every knob of an
optimizer takes a schedule, not only the learning rate.
"""

from jaxnn.optim.schedules.compose import in_epochs, join, warmup
from jaxnn.optim.schedules.cycles import cyclic, one_cycle
from jaxnn.optim.schedules.decays import (
    exponential,
    inverse_time,
    natural_exponential,
    power,
    step,
)
from jaxnn.optim.schedules.pieces import constant, piecewise_constant
from jaxnn.optim.schedules.ramps import linear, polynomial
from jaxnn.optim.schedules.waves import cosine, cosine_restarts

__all__ = [
    "constant",
    "cosine",
    "cosine_restarts",
    "cyclic",
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
