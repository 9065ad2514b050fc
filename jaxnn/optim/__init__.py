"""Optimizers and schedules, as ordinary Optax transformations of our own."""

from jaxnn.optim import schedules
from jaxnn.optim.adam import AdamState, adam, scale_by_adam
from jaxnn.optim.adam_relatives import adamw, nadam
from jaxnn.optim.adaptive import (
    RmsState,
    RssState,
    adagrad,
    rmsprop,
    scale_by_rms,
    scale_by_rss,
)
from jaxnn.optim.averaging import ParameterAverage, parameter_average
from jaxnn.optim.constraints import clip, clip_by_global_norm, clip_by_norm, max_norm
from jaxnn.optim.decay import multiply_weights, weight_decay, with_weight_decay
from jaxnn.optim.groups import by_path, freeze
from jaxnn.optim.momentum import TraceState, momentum, sgd, trace
from jaxnn.optim.nesterov import LookaheadState, lookahead_params, nesterov
from jaxnn.optim.plateau import PlateauState, plateau, plateau_rule
from jaxnn.optim.rate import (
    Knob,
    RateState,
    Schedule,
    last_rate,
    scale_by_learning_rate,
    takes_rate_scale,
)

__all__ = [
    "AdamState",
    "Knob",
    "LookaheadState",
    "ParameterAverage",
    "PlateauState",
    "RateState",
    "RmsState",
    "RssState",
    "Schedule",
    "TraceState",
    "adagrad",
    "adam",
    "adamw",
    "by_path",
    "clip",
    "clip_by_global_norm",
    "clip_by_norm",
    "freeze",
    "last_rate",
    "lookahead_params",
    "max_norm",
    "momentum",
    "multiply_weights",
    "nadam",
    "nesterov",
    "parameter_average",
    "plateau",
    "plateau_rule",
    "rmsprop",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
    "scale_by_rss",
    "schedules",
    "sgd",
    "takes_rate_scale",
    "trace",
    "weight_decay",
    "with_weight_decay",
]
