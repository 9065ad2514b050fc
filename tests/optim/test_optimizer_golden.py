"""Numbers from the test suites of other projects, and the conventions they do not settle.

Which call of ours is meant is data, in `golden_calls.py`.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden import CONVENTIONS, array, cases, look_up, ratio
from golden_calls import WORDS, build, has_convention

from jaxnn import optim


def _torch7(t):
    x, y = t
    # The second component's extra factor x is a slip of that test, and part of the numbers.
    return np.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * x * (y - x**2)])


def gradient_of(inputs):
    """`gradient(step, params)` of a case, whichever way the case gives it."""
    if "grads" in inputs:
        return lambda step, t: array(inputs["grads"][step])
    if "batches" in inputs:  # of sum(x @ W + b)
        batches = [array(batch) for batch in inputs["batches"]]
        return lambda step, t: {
            name: {
                "weight": np.tile(batches[step].sum(0)[:, None], leaf.shape[-1]),
                "bias": np.full(leaf.shape, float(len(batches[step]))),
            }[name]
            for name, leaf in t.items()
        }
    if inputs["gradient"].startswith("closed loop"):
        assert "(-400*x*(y-x^2)-2*(1-x), 200*x*(y-x^2))" in inputs["gradient"]
        return lambda step, t: _torch7(t)
    # "2*rate_i^2*t_i/5 (loss = mean((rate*t)^2))"
    formula = inputs["gradient"].split(" (")[0].removeprefix("constant ").replace("^", "**")
    assert re.fullmatch(r"(exp|rate_i|t_i|[\d.*/+() -])+", formula), f"not a formula: {formula}"
    known = {"exp": np.exp, "rate_i": array(inputs.get("rate", [])), "__builtins__": {}}
    return lambda step, t: eval(formula, known | {"t_i": t})


def trajectory(built, inputs, steps):
    gradient, start = gradient_of(inputs), inputs.get("params0")
    if start is None:
        names = {"weight": "weight0", "bias": "bias0"}
        start = {name: inputs[key] for name, key in names.items() if key in inputs}
        params = {name: jnp.asarray(array(leaf)) for name, leaf in start.items()}
    else:
        params = jnp.asarray(array(start))

    @jax.jit
    def step(params, state, point, g):
        if built.penalty is not None:
            g = jax.tree.map(jnp.add, g, built.penalty(point))
        updates, state = built.tx.update(g, state, params)
        return optax.apply_updates(params, updates), state

    state, path = built.tx.init(params), []
    for i in range(steps):
        point = optim.lookahead_params(params, state)
        g = jax.tree.map(jnp.asarray, gradient(i, jax.tree.map(np.asarray, point)))
        params, state = step(params, state, point, g)
        path.append(params)
    return path


def outcome(case, **changes):
    """What the case expects: the path of the parameters, or where it is a tree, their end."""
    inputs, expected = case["inputs"], case["expected"]
    steps = len(inputs["batches"] if isinstance(expected, dict) else expected)
    path = trajectory(build(case, **changes), inputs, steps)
    return path[-1] if isinstance(expected, dict) else np.stack(path)


OPTIMIZERS = ("optimizer", "optimizer_trajectory", "optimizer_linear")


@cases(*OPTIMIZERS)
def test_golden_optimizer(case, x64, record_property):
    record_property("settings that reproduce it", f"{build(case).arguments}")
    assert ratio(outcome(case), case) <= 1, f"{build(case).arguments}"


@cases(*OPTIMIZERS)
def test_golden_conventions(case, x64):
    """Every convention of ours is as far from the case as the case says that it is."""
    arguments = build(case).arguments
    compared = 0
    for label, worst in case["check"]["worst_ratio_to_tolerance"].items():
        words = label.split(",")
        if not all(word in WORDS for word in words):
            continue  # a form that we do not have, such as a velocity that is an average
        changes = {}
        for word in words:
            changes |= WORDS[word](arguments)
        if not has_convention(case, changes):
            continue
        compared += 1
        distance = ratio(outcome(case, **changes), case)
        assert (distance > 1) == (label in case["check"]["rejected"]), f"{label}: {distance}"
        # Far from the numbers a convention is told by how far; near them it is rounding.
        if worst > 1:
            np.testing.assert_allclose(distance, worst, rtol=1e-3, err_msg=label)
    assert compared or not case["check"]["rejected"], f"none is ours of {case['check']}"


TRANSFORMS = {
    ("gradient_transform", "clip_by_global_norm"): (optim.clip_by_global_norm, ("max_norm",)),
    ("gradient_transform", "clip_by_norm"): (optim.clip_by_norm, ("max_norm", "clip")),
    ("gradient_transform", "clip_by_value"): (optim.clip, ("clip", "max_delta", "clip_value")),
}


@cases("gradient_transform", only=lambda case: case["name"] != "accumulate_mean")
def test_golden_gradient_transform(case, x64):
    """`accumulate_mean` is the training step's: tests/train/control/test_controllers_golden.py."""
    key = (case["kind"], case["name"])
    factory, names = look_up(TRANSFORMS, key, case, "gradient transform")
    (bound,) = (case["settings"][name] for name in names if name in case["settings"])
    grads = jnp.asarray(array(case["inputs"]["grads"]))
    tx = factory(bound)
    updates, _ = tx.update(grads, tx.init(grads), grads)
    assert ratio(updates, case) <= 1


def scheduled(rates):
    return lambda count: jnp.asarray(rates)[count]


# Every side of every convention: the call of ours that is on it.
SIDES = {
    "D1": {
        "lr outside velocity (PyTorch, Optax sgd, TF1)": lambda s: optim.momentum(
            scheduled(s["learning_rates"]), s["momentum"]
        ),
        "lr inside velocity (Keras 3, lecture form)": lambda s: optim.momentum(
            scheduled(s["learning_rates"]), s["momentum"], rate_in_velocity=True
        ),
    },
    "D2": {
        "lr outside (PyTorch, Optax)": lambda s: optim.nesterov(
            scheduled(s["learning_rates"]), s["momentum"], form="current"
        ),
        "lr inside (Keras 3)": lambda s: optim.nesterov(
            scheduled(s["learning_rates"]), s["momentum"], form="current", rate_in_velocity=True
        ),
    },
    "D3": {
        "inside root (Keras 3, Optax, lectures L and M)": lambda s: optim.adagrad(
            s["learning_rate"], s["accumulator0"], s["epsilon"]
        ),
        "outside root (PyTorch, Torch7, burn)": lambda s: optim.adagrad(
            s["learning_rate"], s["accumulator0"], s["epsilon"], eps_in_sqrt=False
        ),
    },
    "D4": {
        "lr inside (Keras 3, Optax rmsprop)": lambda s: optim.rmsprop(
            scheduled(s["learning_rates"]), s["rho"], s["epsilon"], momentum=s["momentum"]
        ),
        "lr outside (PyTorch, burn, dfdx)": lambda s: optim.rmsprop(
            scheduled(s["learning_rates"]),
            s["rho"],
            s["epsilon"],
            momentum=s["momentum"],
            rate_in_velocity=False,
        ),
    },
    "D5": {
        "max of raw second moment (PyTorch, Keras 3, burn)": lambda s: optim.adam(
            s["learning_rate"], s["beta_1"], s["beta_2"], s["epsilon"], amsgrad="raw"
        ),
        "max of corrected second moment (Optax amsgrad)": lambda s: optim.adam(
            s["learning_rate"], s["beta_1"], s["beta_2"], s["epsilon"], amsgrad="corrected"
        ),
    },
}


@pytest.mark.parametrize(
    ("case_id", "side"), [(case_id, side) for case_id, sides in SIDES.items() for side in sides]
)
def test_each_side_of_a_convention_gives_its_numbers_and_not_the_others(case_id, side, x64):
    case = CONVENTIONS[case_id]
    assert set(SIDES[case_id]) == set(case["expected_by_convention"]), "a side has no call"
    tx, params = (
        SIDES[case_id][side](case["settings"]),
        jnp.asarray(array(case["inputs"]["params0"])),
    )
    state, path = tx.init(params), []
    for g in case["inputs"]["grads"]:
        updates, state = tx.update(jnp.asarray(array(g)), state, params)
        params = optax.apply_updates(params, updates)
        path.append(float(params[0]))
    for name, expected in case["expected_by_convention"].items():
        agrees = np.allclose(path, expected, rtol=1e-10, atol=0)
        assert agrees == (name == side), name
