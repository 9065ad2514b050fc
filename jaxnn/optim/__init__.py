"""Optimizers and schedules, each an ordinary Optax transformation.

Names, arguments and defaults are Optax's, so a user changes an import and nothing else. A
docstring says where an optimizer differs on purpose. Every float argument is a knob: a number, a
traced scalar or a schedule.
"""

from jaxnn.optim import schedules
from jaxnn.optim.adaptive.adadelta import AdadeltaState, adadelta, scale_by_adadelta
from jaxnn.optim.adaptive.adagrad import RssState, adagrad, scale_by_rss
from jaxnn.optim.adaptive.adam import AdamState, adam, scale_by_adam
from jaxnn.optim.adaptive.adam_variants import adamw, nadam
from jaxnn.optim.adaptive.adamax import AdamaxState, adamax, scale_by_adamax
from jaxnn.optim.adaptive.lion import LionState, lion, scale_by_lion
from jaxnn.optim.adaptive.radam import radam, scale_by_radam
from jaxnn.optim.adaptive.rmsprop import RmsState, rmsprop, scale_by_rms
from jaxnn.optim.averaging import ParameterAverage, parameter_average
from jaxnn.optim.constraints import clip, clip_by_global_norm, clip_by_norm, max_norm
from jaxnn.optim.decay import (
    add_decayed_weights,
    multiply_weights,
    with_decoupled_weight_decay,
)
from jaxnn.optim.groups import by_path, freeze, frozen_paths
from jaxnn.optim.knobs import Knob, Schedule
from jaxnn.optim.lookahead import LookaheadState, lookahead_params, nesterov
from jaxnn.optim.proximal import ThresholdState, soft_threshold
from jaxnn.optim.rate import (
    RateState,
    last_rate,
    scale_by_learning_rate,
    takes_rate_scale,
)
from jaxnn.optim.stagnation import PlateauState, plateau_rule, reduce_on_plateau
from jaxnn.optim.velocity import TraceState, momentum, sgd, trace

__all__ = [
    "AdadeltaState",
    "AdamState",
    "AdamaxState",
    "Knob",
    "LionState",
    "LookaheadState",
    "ParameterAverage",
    "PlateauState",
    "RateState",
    "RmsState",
    "RssState",
    "Schedule",
    "ThresholdState",
    "TraceState",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "add_decayed_weights",
    "by_path",
    "clip",
    "clip_by_global_norm",
    "clip_by_norm",
    "freeze",
    "frozen_paths",
    "last_rate",
    "lion",
    "lookahead_params",
    "max_norm",
    "momentum",
    "multiply_weights",
    "nadam",
    "nesterov",
    "parameter_average",
    "plateau_rule",
    "radam",
    "reduce_on_plateau",
    "rmsprop",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_learning_rate",
    "scale_by_lion",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "schedules",
    "sgd",
    "soft_threshold",
    "takes_rate_scale",
    "trace",
    "with_decoupled_weight_decay",
]
