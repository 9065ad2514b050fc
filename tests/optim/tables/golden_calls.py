"""Which call of ours computes what a peer's optimizer computes: data, not code.

A call is looked up by kind and name of the case. Settings of the case are translated by
their names, and what a peer does without saying so is added by whose numbers they are.
Nothing here knows the id of a case, so that more cases of a peer need no more of this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import optax
from golden import look_up, peer

from jaxnn import optim, regularizers


@dataclass(frozen=True)
class Call:
    """An optimizer, our arguments by the names of their settings, and the peers' habits."""

    factory: Callable[..., optax.GradientTransformation]
    settings: dict[str, str]  # their setting: our argument
    habits: dict[str, dict[str, Any]]  # by peer: our arguments
    unused: tuple[str, ...] = ()  # settings that the peer takes and does nothing with
    decay: str | None = None  # what the setting `weight_decay` is, where the name says it


def descend(learning_rate, momentum=None, nesterov=False, rate_in_velocity=False):
    """Peers have one `sgd` for what are three optimizers here."""
    form = {"rate_in_velocity": rate_in_velocity}
    return {
        (False, False): lambda: optim.sgd(learning_rate),
        (True, False): lambda: optim.momentum(learning_rate, momentum, **form),
        (True, True): lambda: optim.nesterov(learning_rate, momentum, form="current", **form),
    }[bool(momentum), bool(nesterov)]()


def adamw(learning_rate, *, weight_decay, scaled_by_learning_rate=True, **arguments):
    """Ours, or, for the convention that a case rejects, with a decay that is not scaled."""
    if scaled_by_learning_rate:
        return optim.adamw(learning_rate, weight_decay=weight_decay, mask="all", **arguments)
    adam = optim.adam(learning_rate, **arguments)
    return optim.with_decoupled_weight_decay(
        adam, weight_decay, mask="all", scaled_by_learning_rate=False
    )


RATE = {"learning_rate": "learning_rate", "learningRate": "learning_rate"}
MOMENTUM = {"momentum": "momentum", "nesterov": "nesterov"}
EPSILON = {"epsilon": "eps", "eps": "eps"}
BETAS = {"beta_1": "b1", "beta_2": "b2", "beta1": "b1", "beta2": "b2", **EPSILON}

SGD = Call(
    descend,
    {**RATE, **MOMENTUM},
    {"keras": {"learning_rate": 0.01, "rate_in_velocity": True}, "torch7": {"learning_rate": 1e-3}},
)
ADAGRAD = Call(
    optim.adagrad,
    {**RATE, **EPSILON, "initial_accumulator_value": "initial_accumulator_value"},
    {
        "keras": {"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7},
        "tensorflow": {"initial_accumulator_value": 0.1, "eps": 0.0},
        "torch7": {
            "learning_rate": 1e-3,
            "initial_accumulator_value": 0.0,
            "eps": 1e-10,
            "eps_in_sqrt": False,
        },
        "pytorch": {"initial_accumulator_value": 0.0, "eps": 1e-10, "eps_in_sqrt": False},
        "burn": {"initial_accumulator_value": 0.0, "eps_in_sqrt": False},
    },
)
RMSPROP = Call(
    optim.rmsprop,
    {
        **RATE,
        **MOMENTUM,
        **EPSILON,
        "rho": "decay",
        "decay": "decay",
        "alpha": "decay",
        "centered": "centered",
        "initial_scale": "initial_scale",
    },
    {
        "keras": {"learning_rate": 1e-3, "eps": 1e-7},
        "tensorflow": {"initial_scale": 1.0, "eps": 1e-10},
        "torch7": {
            "learning_rate": 1e-2,
            "decay": 0.99,
            "eps": 1e-8,
            "eps_in_sqrt": False,
            "initial_scale": 1.0,
        },
        "pytorch": {"decay": 0.99, "eps_in_sqrt": False, "rate_in_velocity": False},
        "burn": {"eps_in_sqrt": False, "rate_in_velocity": False},
        "dfdx": {"initial_scale": 1.0, "rate_in_velocity": False},
    },
)
ADAM = Call(
    optim.adam,
    {**RATE, **BETAS, "amsgrad": "amsgrad"},
    {
        "keras": {"learning_rate": 1e-3, "eps": 1e-7, "eps_before_correction": True},
        "tensorflow": {"eps_before_correction": True},
        "torch7": {"learning_rate": 1e-3, "eps_before_correction": True},
    },
)
ADAMW = replace(
    ADAM,
    factory=adamw,
    settings={**ADAM.settings, "weight_decay": "weight_decay", "weightDecay": "weight_decay"},
    habits={
        **ADAM.habits,
        "keras": {**ADAM.habits["keras"], "weight_decay": 0.004},
        "torch7": {**ADAM.habits["torch7"], "weight_decay": 0.01},
    },
)
NADAM = Call(
    optim.nadam,
    {**RATE, **BETAS, "momentum_decay": "momentum_decay"},
    {
        "keras": {"learning_rate": 1e-3, "eps": 1e-7, "momentum_decay": 1.0},
        "pytorch": {"momentum_decay": 0.004},
    },
)
# Torch 7's `nag` is the lecture's: it walks to the point, takes the gradient, walks on.
LOOKAHEAD = Call(
    optim.nesterov,
    {**RATE, "momentum": "decay"},
    {"torch7": {"learning_rate": 1e-3, "decay": 0.9, "rate_in_velocity": True}},
    unused=("dampening",),
)

_NAMES = {
    "sgd": SGD,
    "momentum": SGD,
    "nesterov": replace(SGD, factory=partial(descend, nesterov=True)),
    "nag": LOOKAHEAD,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "amsgrad": replace(
        ADAM,
        factory=partial(optim.adam, amsgrad="raw"),
        habits={**ADAM.habits, "optax": {"amsgrad": True}},
    ),
    "adamw": ADAMW,
    "nadam": NADAM,
}
# What a name says of its weight decay.
_DECAYS = {"": None, "_l2": "l2", "_decoupled": "decoupled", "_weight_decay": None}
_KINDS = ("optimizer", "optimizer_trajectory", "optimizer_linear", "training_run")

CALLS: dict[tuple[str, str], Call] = {
    (kind, prefix + name + suffix): replace(call, decay=decay)
    for kind in _KINDS
    for prefix in ("", "torch7_")
    for name, call in _NAMES.items()
    for suffix, decay in _DECAYS.items()
}

# What the setting `weight_decay` is where the name does not say: Keras' stands beside the
# gradient, everybody else's is added to it.
DECAY_HABIT = {"keras": "decoupled"}
AMSGRAD = {False: None, True: "raw"}
AMSGRAD_OF_OPTAX = {False: None, True: "corrected"}

# The words that a case has for a convention: our arguments, given those of the case.
WORDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "as named": lambda a: {},
    "eps=inside": lambda a: {"eps_in_sqrt": True},
    "eps=outside": lambda a: {"eps_in_sqrt": False},
    "acc0=0.0": lambda a: {"initial_scale": 0.0},
    "acc0=1.0": lambda a: {"initial_scale": 1.0},
    "eps=outside_corrected": lambda a: {"eps_before_correction": False},
    "eps=outside_uncorrected(eps_hat)": lambda a: {"eps_before_correction": True},
    "eps=inside_corrected": lambda a: {
        "eps_before_correction": False,
        "eps": 0.0,
        "eps_root": a.get("eps", 1e-8),
    },
    "eps=no_bias_correction": lambda a: {"bias_correction": False, "eps_before_correction": False},
    "wd=lr*wd": lambda a: {"scaled_by_learning_rate": True},
    "wd=wd_only": lambda a: {"scaled_by_learning_rate": False},
    "lr_outside": lambda a: {"rate_in_velocity": False},
    "first=g": lambda a: {},
    "lr_inside_velocity": lambda a: {"rate_in_velocity": True},
}


def has_convention(case: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether the optimizer of a case has these arguments at all."""
    call = look_up(CALLS, (case["kind"], case["name"]), case, "optimizer")
    parameters = inspect.signature(call.factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return takes_any or set(changes) <= set(parameters)


@dataclass(frozen=True)
class Built:
    """An optimizer, and what its caller adds to the gradient."""

    tx: optax.GradientTransformation
    penalty: Callable[[Any], Any] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


def build(case: Mapping[str, Any], **changes: Any) -> Built:
    """The optimizer of a case, or with `changes` of a convention that it rejects."""
    call = look_up(CALLS, (case["kind"], case["name"]), case, "optimizer")
    habit = peer(case)
    arguments = dict(call.habits.get(habit, {}))
    links: list[Any] = []
    decay_rate, weight_decay = 0.0, None
    for name, value in case["settings"].items():
        if name in call.unused:
            continue
        if name in call.settings:
            arguments[call.settings[name]] = value
        elif name in ("lr_decay", "learningRateDecay"):
            decay_rate = value
        elif name in ("weight_decay", "weightDecay"):
            weight_decay = value
        elif name == "dampening":
            # The first gradient is not damped, as in Torch 7, PyTorch and burn.
            damping = optim.schedules.piecewise_constant([1], [1.0, 1.0 - value])
            links.append(optax.scale_by_schedule(damping))
        elif name not in _NOT_OF_THE_OPTIMIZER:
            links.append(look_up(_CLIPS, name, case, "setting")(value))
    if "amsgrad" in arguments:
        spelled = AMSGRAD_OF_OPTAX if habit == "optax" else AMSGRAD
        arguments["amsgrad"] = spelled[arguments["amsgrad"]]
    if decay_rate:
        arguments["learning_rate"] = optim.schedules.inverse_time(
            arguments["learning_rate"], decay_rate=decay_rate
        )
    arguments |= changes
    tx = call.factory(**arguments)
    if weight_decay is not None and (call.decay or DECAY_HABIT.get(habit)) == "decoupled":
        tx, weight_decay = optim.with_decoupled_weight_decay(tx, weight_decay, mask="all"), None
    penalty = None if weight_decay is None else regularizers.l2(weight_decay, mask="all")
    return Built(optax.chain(*links, tx), penalty and jax.grad(penalty), arguments)


_CLIPS = {
    "clipvalue": optim.clip,
    "clipnorm": optim.clip_by_norm,
    "global_clipnorm": optim.clip_by_global_norm,
}
_NOT_OF_THE_OPTIMIZER = ("epochs", "batch_size", "shuffle", "loss")
