"""Valid calls of `jaxnn.optim`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import optax
from fuzz_kinds import anything, choice, dtype, flag, knob, mask, only, tree
from fuzz_outcome import Row, row

from jaxnn import optim

NOT_NEGATIVE, POSITIVE, PART = "[0, inf)", "(0, inf)", "[0, 1]"


def params() -> dict[str, Any]:
    return {"Dense_0": {"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))}}


def gradients() -> dict[str, Any]:
    return {"Dense_0": {"bias": jnp.full(2, 0.5), "kernel": jnp.full((3, 2), -0.5)}}


def updated(tx: Any) -> Any:
    """Start an optimizer, and take two steps with it."""
    state, updates = tx.init(params()), None
    for value in (1.0, 2.0):
        updates, state = optax.with_extra_args_support(tx).update(
            gradients(), state, params(), value=value
        )
    return updates


def scheduled(value: float, interval: str = NOT_NEGATIVE, **more: Any) -> Any:
    return knob(value, interval, schedule=True, **more)


def _whole() -> list[Row]:
    rate = scheduled(0.1, called=("init_value",))
    decay, share = scheduled(0.9, "[0, 1)"), scheduled(0.9, PART)
    eps = scheduled(1e-8, NOT_NEGATIVE, vanishes=False)
    adam = {
        "b1": decay,
        "b2": scheduled(0.999, "[0, 1)"),
        "eps": eps,
        "eps_root": scheduled(0.0, NOT_NEGATIVE, vanishes=False),
        "mu_dtype": dtype(None),
        "eps_before_correction": flag(False),
    }
    forms = {
        "bias_correction": flag(True),
        "nesterov": flag(False),
        "amsgrad": choice("raw", "corrected", none=True),
    }
    rss = {
        "initial_accumulator_value": knob(0.1, NOT_NEGATIVE, vanishes=False),
        "eps": scheduled(1e-7, NOT_NEGATIVE, vanishes=False),
        "eps_in_sqrt": flag(True),
    }
    rms = {
        "decay": share,
        "eps": eps,
        "initial_scale": knob(0.0, NOT_NEGATIVE, vanishes=False),
        "eps_in_sqrt": flag(True),
        "centered": flag(False),
        "bias_correction": flag(False),
    }
    strength = scheduled(0.01, NOT_NEGATIVE)
    momentum = scheduled(0.9, PART, none=True)
    return [
        row(
            "optim.sgd",
            updated,
            learning_rate=rate,
            momentum=momentum,
            nesterov=flag(False),
            accumulator_dtype=dtype(None),
        ),
        row(
            "optim.momentum", updated, learning_rate=rate, decay=share, rate_in_velocity=flag(False)
        ),
        row(
            "optim.nesterov",
            updated,
            learning_rate=rate,
            decay=share,
            form=choice("lookahead", "current"),
            rate_in_velocity=flag(False),
        ),
        row(
            "optim.trace", updated, decay=share, nesterov=flag(False), accumulator_dtype=dtype(None)
        ),
        row("optim.adagrad", updated, learning_rate=rate, **rss),
        row("optim.scale_by_rss", updated, **rss),
        row(
            "optim.rmsprop",
            updated,
            learning_rate=rate,
            momentum=momentum,
            nesterov=flag(False),
            rate_in_velocity=flag(True),
            **rms,
        ),
        row("optim.scale_by_rms", updated, **rms),
        row("optim.adam", updated, learning_rate=rate, **adam, **forms),
        row(
            "optim.adamw",
            updated,
            learning_rate=rate,
            weight_decay=strength,
            mask=mask("weights_only"),
            **adam,
            **forms,
        ),
        row(
            "optim.nadam",
            updated,
            learning_rate=rate,
            momentum_decay=scheduled(0.004, NOT_NEGATIVE, none=True),
            **adam,
        ),
        row(
            "optim.scale_by_adam",
            updated,
            momentum_decay=scheduled(0.004, NOT_NEGATIVE, none=True),
            **adam,
            **forms,
        ),
        row("optim.scale_by_learning_rate", updated, learning_rate=rate),
        row("optim.add_decayed_weights", updated, weight_decay=strength, mask=mask("weights_only")),
        row("optim.multiply_weights", updated, factor=scheduled(0.9, PART), mask=mask("all")),
        row(
            "optim.with_decoupled_weight_decay",
            updated,
            optimizer=only(optim.sgd(0.1)),
            weight_decay=strength,
            mask=mask("weights_only"),
            scaled_by_learning_rate=flag(True),
        ),
        row("optim.clip", updated, max_delta=scheduled(1.0, POSITIVE)),
        row("optim.clip_by_norm", updated, max_norm=scheduled(1.0, POSITIVE)),
        row("optim.clip_by_global_norm", updated, max_norm=scheduled(1.0, POSITIVE)),
        row("optim.max_norm", updated, c=scheduled(1.0, POSITIVE), mask=mask("weights_only")),
        row("optim.freeze", updated, mask=mask("bias", none=False), optimizer=only(optim.sgd(0.1))),
        row(
            "optim.by_path",
            updated,
            otherwise=only(optim.sgd(0.1)),
            rules=anything([("bias", optim.sgd(1.0))], lambda o: o in ([], ())),
        ),
        row(
            "optim.parameter_average",
            lambda made: made.update(made.init(params()), params(), jnp.int32(1)),
            decay=scheduled(0.9, PART),
            warmup=flag(True),
            evaluate=flag(True),
        ),
    ]


def _new() -> list[Row]:
    rate, decay, share = scheduled(0.1), scheduled(0.9, "[0, 1)"), scheduled(0.9, PART)
    eps = scheduled(1e-6, NOT_NEGATIVE, vanishes=False)
    strength, path = scheduled(0.01, NOT_NEGATIVE), mask("weights_only")
    two, wide = {"b1": decay, "b2": decay}, {"mu_dtype": dtype(None)}
    signs = {"b1": share, "b2": share}
    rectified = {
        "eps_root": scheduled(0.0, NOT_NEGATIVE, vanishes=False),
        "threshold": knob(5.0, NOT_NEGATIVE),
        "nesterov": flag(False),
    }
    return [
        row(
            "optim.adadelta",
            updated,
            learning_rate=rate,
            rho=share,
            eps=eps,
            weight_decay=scheduled(0.01, NOT_NEGATIVE, none=True),
            weight_decay_mask=replace(path, called=("mask",)),
        ),
        row("optim.scale_by_adadelta", updated, rho=share, eps=eps),
        row("optim.adamax", updated, learning_rate=rate, eps=eps, **two),
        row("optim.scale_by_adamax", updated, eps=eps, **two),
        row(
            "optim.lion",
            updated,
            learning_rate=rate,
            weight_decay=strength,
            mask=path,
            **signs,
            **wide,
        ),
        row("optim.scale_by_lion", updated, **signs, **wide),
        row("optim.radam", updated, learning_rate=rate, eps=eps, **two, **rectified),
        row("optim.scale_by_radam", updated, eps=eps, **two, **rectified),
        row("optim.soft_threshold", updated, strength=strength, learning_rate=rate, mask=path),
        row("optim.frozen_paths", opt_state=anything(())),
    ]


def _of_states() -> list[Row]:
    state = optim.nesterov(0.1).init(params())
    return [
        row(
            "optim.lookahead_params",
            params=tree(params()),
            opt_state=anything(state),
            rate_scale=knob(1.0, vanishes=False),
        ),
        row("optim.takes_rate_scale", opt_state=anything(state)),
        row("optim.last_rate", opt_state=anything(state)),
        Row(
            "optim.adam:init",
            {"params": tree(params(), none=True, complex_too=True, called=("eps",))},
            lambda params: optim.adam(0.1).init(params),
        ),
        Row(
            "optim.adam:update",
            {"updates": tree(gradients(), complex_too=True)},
            lambda updates: optim.adam(0.1).update(
                updates, optim.adam(0.1).init(params()), params()
            )[0],
        ),
        Row(
            "optim.clip_by_global_norm:update",
            {"updates": tree(gradients(), none=True, complex_too=True)},
            lambda updates: optim.clip_by_global_norm(1.0).update(
                updates, optim.clip_by_global_norm(1.0).init(params()), params()
            )[0],
        ),
    ]


def rows() -> list[Row]:
    return [*_whole(), *_new(), *_of_states()]
