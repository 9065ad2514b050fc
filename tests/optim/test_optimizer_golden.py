"""Numbers from the test suites of other projects, and the conventions they do not settle."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import CONVENTIONS, GOLDEN

from jaxnn import optim

# Our argument: the name of their setting, or a value that they leave to a default.
RATE = {"learning_rate": "learning_rate"}
MOMENTUM = {**RATE, "decay": "momentum"}
ADAM = {**RATE, "b1": "beta_1", "b2": "beta_2", "eps": "epsilon"}

CALLS = {
    "010": (optim.sgd, RATE),
    "013": (optim.adam, ADAM),
    "024": (optim.momentum, MOMENTUM),
    "025": (optim.momentum, MOMENTUM),
    "058": (optim.sgd, {"learning_rate": 1e-3}),  # the default of Torch 7
    "063": (optim.sgd, RATE),
    "064": (optim.momentum, MOMENTUM),
    "076": (optim.adam, ADAM),
    "077": (optim.adam, ADAM),
}


def _torch7(t):
    x, y = t
    # The second component's extra factor x is a slip of that test, and part of the numbers.
    return np.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * x * (y - x**2)])


# By the first words of what the case says its gradient is.
GRADIENTS = {
    "constant rate_i/5": lambda t, rate: np.asarray(rate) / 5,
    "2*rate_i^2*t_i/5": lambda t, rate: 2 * np.asarray(rate) ** 2 * t / 5,
    "closed loop, float64": lambda t, rate: _torch7(t),
}


def gradient_of(inputs):
    """`gradient(step, params)` of a case, whichever way the case gives it."""
    if "grads" in inputs:
        return lambda step, params: np.asarray(inputs["grads"][step])
    (function,) = (f for text, f in GRADIENTS.items() if inputs["gradient"].startswith(text))
    return lambda step, params: function(params, inputs.get("rate"))


def trajectory(tx, inputs, steps):
    gradient, params = gradient_of(inputs), jnp.asarray(inputs["params0"])
    state, path = tx.init(params), []
    for step in range(steps):
        g = jnp.asarray(gradient(step, np.asarray(params)))
        updates, state = tx.update(g, state, params)
        params = optax.apply_updates(params, updates)
        path.append(np.asarray(params))
    return np.stack(path)


@pytest.mark.parametrize("case_id", CALLS)
def test_golden_trajectory(case_id, x64):
    case = GOLDEN[case_id]
    factory, arguments = CALLS[case_id]
    settings = case["settings"]
    assert not settings.get("nesterov", False), "not what this call computes"
    tx = factory(**{k: settings[v] if isinstance(v, str) else v for k, v in arguments.items()})
    path = trajectory(tx, case["inputs"], len(case["expected"]))
    np.testing.assert_allclose(path, case["expected"], **case["tolerance"])


def scheduled(rates):
    return lambda count: jnp.asarray(rates)[count]


SIDES = {
    "D1": (optim.momentum, {"decay": "momentum"}, "lr outside velocity (PyTorch, Optax sgd, TF1)")
}


@pytest.mark.parametrize("case_id", SIDES)
def test_side_of_a_convention(case_id, x64):
    case = CONVENTIONS[case_id]
    factory, arguments, side = SIDES[case_id]
    settings = case["settings"]
    knobs = {ours: settings[theirs] for ours, theirs in arguments.items()}
    tx = factory(scheduled(settings["learning_rates"]), **knobs)
    path = trajectory(tx, case["inputs"], len(settings["learning_rates"]))
    for name, expected in case["expected_by_convention"].items():
        agrees = np.allclose(path[:, 0], expected, rtol=1e-12, atol=0)
        assert agrees == (name == side), name


def test_golden_144_adam_on_a_schedule_through_a_training_run(x64):
    """Twelve steps on a linear model; the case rejects a schedule that starts at 1."""
    case = GOLDEN["144"]
    settings = case["settings"]
    assert settings["learning_rate"] == "exponential(init=0.05,decay_steps=1,rate=0.9)"
    # At whole steps a drop after every one of them is exponential decay.
    tx = optim.adam(
        optim.schedules.step(0.05, every=1, factor=0.9),
        **{ours: settings[theirs] for ours, theirs in ADAM.items() if ours != "learning_rate"},
    )
    data = np.arange(32.0).reshape(16, 2)
    params = {"kernel": np.ones((2, 2)), "bias": np.ones(2)}
    state, losses = tx.init(params), []
    for _ in range(settings["epochs"]):
        batch_losses = []
        for x in data.reshape(-1, settings["batch_size"], 2):  # the target is x itself
            error = x @ params["kernel"] + params["bias"][None] - x
            batch_losses.append(np.mean(error**2))
            slope = 2 * error / error.size
            g = {"kernel": jnp.asarray(x.T @ slope), "bias": jnp.asarray(slope.sum(0))}
            updates, state = tx.update(g, state, params)
            params = {k: np.asarray(v) for k, v in optax.apply_updates(params, updates).items()}
        losses.append(np.mean(batch_losses))
    np.testing.assert_allclose(losses, case["expected"], **case["tolerance"])
