"""Controllers and whole training runs against numbers from the suites of other projects."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from golden import CONVENTIONS, GOLDEN, array, cases, look_up, ratio
from golden_calls import CALLS, build
from golden_schedules import schedule_from_text

import jaxnn
from jaxnn import optim
from jaxnn.train import init_state, train_step

# Our arguments by the names of theirs; the threshold of PyTorch is one of two by its mode.
PLATEAU = {
    **{name: name for name in ("factor", "patience", "cooldown", "mode", "rtol", "atol")},
    "min_delta": "atol",
    "min_scale": "min_scale",
}
THRESHOLD = {"rel": "rtol", "abs": "atol"}
# What a peer does without saying so.
PLATEAU_HABITS = {
    "plateau_torch": {"counting": "pytorch", "rtol": 0.0},
    "plateau_keras": {"counting": "keras", "rtol": 0.0},
    "plateau_optax": {"counting": "optax"},
}
THRESHOLD_HABIT = {"plateau_torch": {"threshold": 1e-4, "threshold_mode": "rel"}}
# The words of a case for how patience is counted, as a change of it in the peer's counting.
PATIENCE = {
    "bad > patience (PyTorch)": 0,
    "bad >= patience": -1,
    "wait >= patience (Keras)": 0,
    "wait > patience": 1,
    "count == patience (Optax)": 0,
}


def plateau_arguments(case, later=0):
    habits = look_up(PLATEAU_HABITS, case["name"], case, "plateau rule")
    arguments, settings = dict(habits), THRESHOLD_HABIT.get(case["name"], {}) | case["settings"]
    for name, value in settings.items():
        if name == "threshold":
            arguments[THRESHOLD[settings["threshold_mode"]]] = value
        elif name in ("min_lr", "min_learning_rate"):  # ours is relative to the rate
            arguments["min_scale"] = value / settings["init"]
        elif name not in ("init", "threshold_mode"):
            arguments[look_up(PLATEAU, name, case, "setting")] = value
    arguments["patience"] += later
    return arguments


@functools.cache
def fresh_state():
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((1,)), jaxnn.losses.squared_error, optim.sgd(0.1))
    return init_state(recipe, 0, {"x": jnp.ones((1, 1))})


def rates_in_fit(case, later=0):
    """The rate after each evaluation, by the controller that `fit` runs."""
    controller = jaxnn.train.plateau(**plateau_arguments(case, later))
    state = fresh_state()
    memory, rates = controller.init(state), []
    update = jax.jit(controller.update)
    for value in case["inputs"]["metrics"]:
        memory, state = update(memory, state, jnp.asarray(value))
        rates.append(float(case["settings"]["init"] * state.control.scale))
    return rates


def rates_in_a_loop(case, later=0):
    """The same by the link of a chain, `optim.reduce_on_plateau`, for a loop of one's own."""
    arguments = plateau_arguments(case, later)
    tx = optax.chain(optim.sgd(case["settings"]["init"]), optim.reduce_on_plateau(**arguments))
    one, rates = jnp.ones(()), []
    state, apply = tx.init(one), jax.jit(tx.update)
    for value in case["inputs"]["metrics"]:
        update, state = apply(one, state, one, value=value)
        rates.append(-float(update))
    return rates


BOTH = pytest.mark.parametrize("rates", [rates_in_fit, rates_in_a_loop])


@BOTH
@cases("plateau")
def test_golden_plateau(case, rates, x64):
    assert ratio(rates(case), case) <= 1, plateau_arguments(case)


@cases("plateau")
def test_golden_plateau_rejects_the_other_counting(case, x64):
    for label, worst in case["check"]["worst_ratio_to_tolerance"].items():
        later = look_up(PATIENCE, label, case, "counting")
        if later + case["settings"]["patience"] < 0:
            continue  # ours starts at 0
        distance = ratio(rates_in_fit(case, later), case)
        assert (distance > 1) == (label in case["check"]["rejected"]), label
        if worst > 1:
            np.testing.assert_allclose(distance, worst, rtol=1e-3, err_msg=label)


D7 = {"Keras, Optax (>= patience)": ("keras", "optax"), "PyTorch (> patience)": ("pytorch",)}


@BOTH
@pytest.mark.parametrize(
    ("side", "counting"), [(side, counting) for side, names in D7.items() for counting in names]
)
def test_each_side_of_d7_gives_its_numbers_and_not_the_others(side, counting, rates, x64):
    case = CONVENTIONS["D7"]
    assert set(case["expected_by_convention"]) == set(D7)
    name = {"pytorch": "plateau_torch"}.get(counting, f"plateau_{counting}")
    ours = rates({**case, "name": name, "settings": {"init": 1.0, **case["settings"]}})
    for other, expected in case["expected_by_convention"].items():
        assert np.allclose(ours, expected, rtol=1e-12) == (other == side), other


STOPPING = {name: name for name in ("patience", "mode", "min_delta", "baseline", "n_epochs")}
STOPPING["n_epochs"] = "patience"
STOPPING_HABITS = {
    "early_stopping_keras": {"counting": "keras"},
    "early_stopping_torch": {"counting": "pytorch"},
    "early_stopping_burn": {"counting": "keras"},
}


def stopped(case, later=0):
    """What became of a run whose parameters are the number of the epoch."""
    arguments = dict(look_up(STOPPING_HABITS, case["name"], case, "early stopping"))
    for name, value in case["settings"].items():
        # Ours always hands back the best weights: `finish` is where.
        if name != "restore_best":
            arguments[look_up(STOPPING, name, case, "setting")] = value
    arguments["patience"] += later
    controller = jaxnn.train.early_stopping(**arguments)
    state = fresh_state()
    memory, update, epoch = controller.init(state), jax.jit(controller.update), -1
    for epoch, value in enumerate(case["inputs"]["metrics"]):
        numbered = jax.tree.map(
            lambda leaf, e=epoch: np.full(leaf.shape, e, leaf.dtype), state.params
        )
        memory, state = update(memory, state.replace(params=numbered), jnp.asarray(value))
        if state.control.stop:
            break
    best = controller.finish(memory, state).params
    return {
        "stopped_epoch": epoch if state.control.stop else 0,
        "epochs_trained": epoch + 1,
        "restored_epoch": int(np.ravel(jax.tree.leaves(best)[0])[0]),
    }


@cases("early_stopping")
def test_golden_early_stopping(case, x64):
    ours = stopped(case)
    unknown = set(case["expected"]) - set(ours)
    assert not unknown, f"nothing here computes {unknown}"
    assert {name: ours[name] for name in case["expected"]} == case["expected"]


@cases("early_stopping")
def test_golden_early_stopping_rejects_the_other_counting(case, x64):
    for label in case["check"]["worst_ratio_to_tolerance"]:
        ours = stopped(case, look_up(PATIENCE, label, case, "counting"))
        agrees = {name: ours[name] for name in case["expected"]} == case["expected"]
        # Where both agree on the case, a patience of 0 may still not: Keras takes it for 1.
        assert agrees == (label in case["check"]["reproduced_by"]), label


class Given(nn.Module):
    """Parameters whose gradient under `mean(self(g))` is the mean of g over the batch."""

    start: tuple[float, ...]

    @nn.compact
    def __call__(self, g):
        return g @ self.param("theta", lambda key: jnp.asarray(self.start))


@cases("gradient_transform", only=lambda case: case["name"] == "accumulate_mean")
def test_golden_accumulation(case, x64):
    """Through the training step: each window is one batch, taken in parts of one row each.

    Between two updates the step has nothing to show, since a window is one call; those rows
    of the case say that the parameters stand still, which they do by construction, and the
    window that is not full at the end makes no update.
    """
    settings, inputs = case["settings"], case["inputs"]
    every, grads = settings["every"], array(inputs["grads"])

    def objective(apply, params, model_state, batch, keys):
        products, model_state = apply(params, model_state, batch["x"], keys)
        return (products.sum(), jnp.asarray(float(len(products)))), model_state, {}

    recipe = jaxnn.Recipe(
        Given(tuple(inputs["params0"])),
        objective=objective,
        optimizer=optim.sgd(settings["learning_rate"]),
    )
    state = init_state(recipe, 0, {"x": grads[:every]})
    path = []
    for i in range(len(grads)):
        if (i + 1) % every == 0:
            window = {"x": jnp.asarray(grads[i + 1 - every : i + 1])}
            state, _ = train_step(recipe, state, window, every)
        path.append(np.asarray(state.params["theta"]))
    assert ratio(np.stack(path), case) <= 1
    assert int(optax.tree_utils.tree_get(state.opt_state, "count")) == len(grads) // every


LOSSES = {
    "mse": jaxnn.losses.squared_error,
    "mean_squared_error": jaxnn.losses.squared_error,
}
_DENSE = re.compile(r"dense (\d+)->(\d+), kernel=ones, bias=ones")


def run_losses(case, first_count=0, after=False):
    """The mean over the batches of each epoch's losses, before (or after) each update."""
    settings, inputs = case["settings"], case["inputs"]
    assert not settings["shuffle"], "an order of batches that the case does not give"
    x, y = array(inputs["x"]), array(inputs["y"])
    match = _DENSE.fullmatch(inputs["model"])
    assert match, f"a model that cannot be read: {inputs['model']!r}"
    rate = settings["learning_rate"]
    if isinstance(rate, str):
        schedule = schedule_from_text(rate, case)
        rate = lambda count: schedule(count + first_count)  # noqa: E731
    ones = nn.initializers.ones_init()
    recipe = jaxnn.Recipe(
        nn.Dense(int(match[2]), param_dtype=float, kernel_init=ones, bias_init=ones),
        look_up(LOSSES, settings["loss"], case, "loss"),
        build(case, learning_rate=rate).tx,
    )
    state = init_state(recipe, 0, {"x": x})
    assert (*state.params["kernel"].shape,) == (int(match[1]), int(match[2]))
    step, losses = jax.jit(train_step, static_argnums=0), []
    for _ in range(settings["epochs"]):
        for start in range(0, len(x), settings["batch_size"]):
            rows = slice(start, start + settings["batch_size"])
            batch = {"x": jnp.asarray(x[rows]), "y": jnp.asarray(y[rows])}
            state, metrics = step(recipe, state, batch)
            if after:
                metrics = jaxnn.train.eval_step(recipe, state, batch)
            losses.append(float(metrics["loss"][0] / metrics["loss"][1]))
    return np.asarray(losses).reshape(settings["epochs"], -1).mean(1)


RUN_WORDS = {
    "schedule at 0-based step, loss before update": {},
    "schedule at 1-based step, loss before update": {"first_count": 1},
    "schedule at 0-based step, loss after update": {"after": True},
}


@cases("training_run")
def test_golden_training_run(case, x64):
    assert ratio(run_losses(case), case) <= 1


@cases("training_run")
def test_golden_training_run_conventions(case, x64):
    for label, worst in case["check"]["worst_ratio_to_tolerance"].items():
        distance = ratio(run_losses(case, **look_up(RUN_WORDS, label, case, "convention")), case)
        assert (distance > 1) == (label in case["check"]["rejected"]), label
        if worst > 1:
            np.testing.assert_allclose(distance, worst, rtol=1e-3, err_msg=label)


# What another test file compares, by its kind.
ELSEWHERE = {
    *("optimizer", "optimizer_trajectory", "optimizer_linear", "gradient_transform", "schedule"),
    *("activation", "layer", "property", "loss"),
}


def test_every_kind_of_case_has_a_test():
    here = {"plateau", "early_stopping", "training_run"}
    assert {case["kind"] for case in GOLDEN.values()} <= here | ELSEWHERE
    assert {kind for kind, _ in CALLS} >= {"training_run"}
