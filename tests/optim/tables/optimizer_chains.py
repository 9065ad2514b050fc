"""What rows of the table call if it is more than one factory, with its twin and its formula.

Each knob stands by its name in the signature, because `inject_hyperparams` reads it there.
"""

from __future__ import annotations

import numpy as np
import numpy_formulas as formulas
import optax

from jaxnn import optim
from jaxnn.tree import mask_tree, weights_only

# What an optimizer on a plateau watches, by the count of updates.
PLATEAU_VALUES = 1 / (1 + 0.05 * np.arange(400)) + 0.1 * np.sin(np.arange(400))


def weights(params):
    return mask_tree(weights_only, params)


def adam_with_step(init_value, every, factor, b1, b2, eps, eps_root):
    schedule = optim.schedules.step(init_value, every=every, factor=factor)
    return optim.adam(schedule, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def optax_adam_with_step(init_value, every, factor, **knobs):
    schedule = optax.exponential_decay(init_value, every, factor, staircase=True)
    return optax.adam(schedule, **knobs)


def numpy_adam_with_step(theta, gradient, init_value, every, factor, **knobs):
    rate = formulas.step_decay(init_value, every, factor)
    return formulas.adam(theta, gradient, rate, **knobs)


def adam_and_decay(learning_rate, b1, b2, eps, eps_root, weight_decay):
    parts = optim.scale_by_adam(b1, b2, eps, eps_root), optim.add_decayed_weights(weight_decay)
    return optax.chain(*parts, optim.scale_by_learning_rate(learning_rate))


def optax_adam_and_decay(learning_rate, weight_decay, **knobs):
    parts = optax.scale_by_adam(**knobs), optax.add_decayed_weights(weight_decay, weights)
    return optax.chain(*parts, optax.scale_by_learning_rate(learning_rate))


def decayed_momentum(learning_rate, decay, weight_decay):
    momentum = optim.momentum(learning_rate, decay, rate_in_velocity=True)
    return optim.with_decoupled_weight_decay(momentum, weight_decay)


def decayed_nesterov(learning_rate, decay, weight_decay):
    return optim.with_decoupled_weight_decay(optim.nesterov(learning_rate, decay), weight_decay)


def decayed_sgd_with_step(init_value, every, factor, weight_decay):
    schedule = optim.schedules.step(init_value, every=every, factor=factor)
    return optim.with_decoupled_weight_decay(optim.sgd(schedule), weight_decay)


def optax_decayed_sgd_with_step(init_value, every, factor, weight_decay):
    schedule = optax.exponential_decay(init_value, every, factor, staircase=True)
    return optax.chain(optax.add_decayed_weights(weight_decay, weights), optax.sgd(schedule))


def numpy_decayed_sgd_with_step(theta, gradient, init_value, every, factor, weight_decay):
    rate = formulas.step_decay(init_value, every, factor)
    return numpy_decayed(formulas.sgd, theta, gradient, weight_decay, rate)


def decayed_sgd_alone(learning_rate, weight_decay):
    sgd = optim.sgd(learning_rate)
    return optim.with_decoupled_weight_decay(sgd, weight_decay, scaled_by_learning_rate=False)


def numpy_decayed(formula, theta, gradient, weight_decay, learning_rate, scaled=True, **knobs):
    return formulas.decayed(
        formula,
        theta,
        gradient,
        weight_decay,
        rate_of=learning_rate if scaled else None,
        learning_rate=learning_rate,
        **knobs,
    )


def sgd_and_multiply(learning_rate, factor):
    return optax.chain(optim.sgd(learning_rate), optim.multiply_weights(factor))


def numpy_sgd_and_multiply(theta, gradient, learning_rate, factor):
    lost = (lambda t: 1 - factor(t)) if callable(factor) else 1 - factor
    return numpy_decayed(formulas.sgd, theta, gradient, lost, learning_rate, scaled=False)


def sgd_and_max_norm(learning_rate, c):
    return optax.chain(optim.sgd(learning_rate), optim.max_norm(c))


def sgd_and_threshold(learning_rate, strength):
    sgd = optim.sgd(learning_rate)
    return optax.chain(sgd, optim.soft_threshold(strength, learning_rate))


def clipped(learning_rate, max_delta):
    return optax.chain(optim.clip(max_delta), optim.sgd(learning_rate))


def clipped_by_norm(learning_rate, max_norm):
    return optax.chain(optim.clip_by_norm(max_norm), optim.sgd(learning_rate))


def clipped_by_global_norm(learning_rate, max_norm):
    return optax.chain(optim.clip_by_global_norm(max_norm), optim.sgd(learning_rate))


def two_rates(learning_rate, decay):
    momentum = optim.momentum(learning_rate, decay)
    return optim.by_path([(weights_only, momentum)], otherwise=optim.sgd(learning_rate))


def weights_alone(learning_rate, decay):
    not_weights = lambda path, leaf: not weights_only(path, leaf)  # noqa: E731
    return optim.freeze(not_weights, optim.momentum(learning_rate, decay))


def on_plateau(learning_rate, factor, rtol, atol, min_scale):
    rule = {"patience": 2, "rtol": rtol, "atol": atol, "min_scale": min_scale}
    return optax.chain(optim.sgd(learning_rate), optim.reduce_on_plateau(factor, **rule))


def optax_on_plateau(learning_rate, **rule):
    plateau = optax.contrib.reduce_on_plateau(patience=2, **rule)
    return optax.chain(optax.sgd(learning_rate), plateau)
