"""Optimizers and schedules, as ordinary Optax transformations of our own."""

from jaxnn.optim import schedules
from jaxnn.optim.adaptive import adam, scale_by_adam
from jaxnn.optim.momentum import momentum, sgd, trace
from jaxnn.optim.rate import RateState, Schedule, scale_by_learning_rate, takes_rate_scale

__all__ = [
    "RateState",
    "Schedule",
    "adam",
    "momentum",
    "scale_by_adam",
    "scale_by_learning_rate",
    "schedules",
    "sgd",
    "takes_rate_scale",
    "trace",
]
